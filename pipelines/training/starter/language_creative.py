"""Creative writing for the text corpus: captions, slogans, stories, messages, poems, image prompts, and saying no honestly."""

from pipelines.training.starter.language_words import I_NEED, MAKE, Made, Pen, with_article
from pipelines.training.starter.world import COLOURED, OBJECT_COLOURS, OBJECT_PLACES, SEASONAL, WORDS

_SCENES = ["{a_animal} {doing} [in/near] {place}", "{a_animal} {doing}", "our {noun} [in/from] {place}", "the {noun} at {time}", "{time} in {place}", "{name} {doing}", "{name} and {other} [at/near] the {noun}", "my {adjective} {noun}", "{hobby} [with/and] {name}", "{adjective} {noun} in {place}", "{a_noun} on the table", "{a_noun}", "{a_noun} {doing}", "our {noun}", "the first {noun} of the year"]  # fmt: skip
_ANIMALS = [
    "cat", "dog", "fox", "robot", "dragon", "bear", "owl", "penguin", "rabbit", "hedgehog", "whale", "tiger",
    "duck", "horse", "mouse", "squirrel", "turtle", "wolf", "frog", "bee",
]  # fmt: skip
_DOING = ["sleeping in the sun", "drinking tea", "reading a book", "playing the piano", "riding a bicycle", "dancing in the rain", "eating cake", "watching the stars", "jumping over a fence", "learning to swim", "baking bread", "looking at the sea", "playing chess", "wearing a red hat"]  # fmt: skip
_TIMES = ["sunset", "sunrise", "midnight", "noon", "breakfast", "dawn"]
_MOODS = {
    "funny": "[Nobody told them it was Monday/Living the dream, one nap at a time/Plot twist of the day/Zero plans, full style].",
    "romantic": "[Some moments stay with you for ever/Two hearts, one moment/Love is in the little things].",
    "calm": "[Breathe in, breathe out/A quiet moment, kept for later/Nothing to do, nowhere to be].",
    "proud": "[Hard work, big smiles/We did it, and it feels great/Worth every minute].",
    "cheerful": "[Good mood guaranteed/Smiles all around/This is what happiness looks like].",
    "": "[A moment to remember/Good things happen here/Simply beautiful/Days like this/Little things, big joy].",
}


def caption(pen: Pen) -> Made:
    animal, noun = pen.pick(_ANIMALS, pen.noun), pen.noun()
    scene = pen.say(
        *_SCENES, a_animal=with_article(animal), a_noun=with_article(noun), noun=noun, doing=pen.pick(_DOING, lambda: f"{pen.gerund()} {pen.say('the', 'a', 'in the')} {pen.noun()}"),
        place=pen.place(), time=pen.pick(_TIMES, pen.noun), name=pen.first_name(), other=pen.first_name(),
        adjective=pen.pick(_ADJECTIVES, pen.adjective), hobby=pen.hobby(),
    )  # fmt: skip
    mood = pen.rng.choice(["", "", *_MOODS])
    asked = pen.ask(
        "[Write/Give me/Create] {m} caption for a [photo/picture] of {s}{dot}",
        "[caption/photo caption]: {s}",
        "[Caption/caption] for a [photo/picture/post] [of/about] {s}",
        "[Write/Suggest] {m} [Instagram caption/social media caption/post] for {s}{dot}",
        "[What caption fits/I need {m} caption for] this [photo/picture]: {s}{dot}",
        more=(
            MAKE
            + " {m} [caption/line/text/short text/few words] [for/to go with/under/to put under] [a/my/this/the/our] [photo/picture/post/image/snapshot] [of/with/showing/about] {s}{dot}",
            MAKE + " {m} [caption/Instagram caption/photo caption/picture caption] [for/about/to] {s}{dot}",
            I_NEED
            + " {m} [caption/photo caption/caption for a photo/caption for my picture] [for/of/about/with] {s}{dot}",
            "[My/The/This/Our] [photo/picture/image] shows {s}. [Caption it/Write {m} caption/What is a good caption?/It needs {m} caption/Give it {m} caption]{dot}",
            "[Caption/caption] [this/this photo/this picture/for me/the picture/it][:/ –] {s}{dot}",
            "What [could/should/can/shall] I write [under/with/below/about] [a/my/this/the] [photo/picture] of {s}?",
            "[photo/picture/Instagram/social media] [caption/post] [of/about/with/:] {s}",
            "What [would be/is] {m} [good/nice/fitting] caption for {s}?",
            "{s}: [caption please/write {m} caption/photo caption/needs a caption]",
            "[Which/What] caption [goes with/suits/would you give] [a photo/a picture/my picture/our photo] of {s}?",
        ),
        m=with_article(mood) if mood else "a",
        s=scene,
        dot=pen.rng.choice((".", "")),
    )
    if mood and mood not in asked:
        mood = ""
    answer = pen.say("{s}. {x}", "{x} {s}.", s=scene, x=pen.say(_MOODS[mood]))
    tags = pen.in_turn(
        ("moments", "goodvibes", "today", "life", "smile", "happy", "memories", "beautiful", "joy"), 3
    )
    return asked, answer + "\n" + " ".join(f"#{tag}" for tag in tags), (scene,)


_ADJECTIVES = [
    "old", "new", "little", "favourite", "secret", "red", "golden", "quiet", "cosy", "wild", "tiny",
    "bright", "happy", "sleepy", "brave", "lost", "lonely", "curious",
]  # fmt: skip
_TRADES = {
    "bakery": "bread:warm:bake", "café": "coffee:cosy:brew", "coffee shop": "coffee:fresh:roast", "florist": "flowers:bright:bloom",
    "bookshop": "stories:quiet:read", "gym": "energy:strong:move", "hotel": "sleep:soft:rest", "pizzeria": "pizza:hot:share",
    "bicycle shop": "wheels:fast:ride", "hair salon": "style:fresh:shine", "dentist": "smiles:bright:care", "zoo": "animals:wild:wonder",
    "garage": "engines:honest:repair", "restaurant": "taste:fine:enjoy", "travel agency": "journeys:far:explore", "bank": "trust:safe:grow",
    "software company": "ideas:smart:build", "garden centre": "green:fresh:grow", "toy shop": "play:happy:laugh", "museum": "history:old:discover",
    "ice cream parlour": "sweetness:cool:taste", "music school": "music:bright:play", "pet shop": "friends:furry:love", "brewery": "beer:golden:brew",
    "cinema": "dreams:big:watch", "pharmacy": "health:gentle:care", "carpenter": "wood:solid:build", "tailor": "cloth:fine:fit",
    "solar company": "sunlight:clean:power", "taxi company": "miles:quick:ride", "photographer": "light:clear:remember", "tea house": "tea:calm:sip",
}  # fmt: skip


def slogan(pen: Pen) -> Made:
    if pen.chance(0.3):
        trade, thing, quality, verb = (
            pen.say("{n} [shop/company/club/app/brand]", n=pen.noun()),
            "ideas",
            "fresh",
            "enjoy",
        )
    else:
        trade = pen.pick(list(_TRADES))
        thing, quality, verb = _TRADES[trade].split(":")
    brand = pen.brand() if pen.chance(0.6) else ""
    asked = pen.ask(
        "[Write/Create/Invent] a slogan for {a}{c}{dot}",
        "[slogan/a slogan/catchy slogan] for {a}{c}",
        "[Give me/Find/I need/Think of] a [catchy/short/good] slogan for [my/our/the] {t}{c}{dot}",
        "[What could be/Suggest] a [tagline/slogan/motto] for {a}{c}[?/.]",
        "[Please write/Come up with] a [tagline/motto/slogan] for my {t}{c}{dot}",
        more=(
            MAKE + " a [catchy/short/good/nice/new/strong/clever/little] [slogan/motto/tagline/claim/catchphrase/advertising line/catchy line] for {a}{c}{dot}",
            MAKE + " a [slogan/motto/tagline/claim/catchphrase] for [my/our/the/this/her/his] {t}{c}{dot}",
            MAKE + " [one/the] [slogan/motto/tagline] that fits [my/our/the] {t}{c}{dot}",
            I_NEED + " a [slogan/motto/tagline/claim/catchphrase/good line] for [my/our/the/a new] {t}{c}{dot}",
            "[My/Our/The/This] {t}{c} needs a [slogan/motto/tagline/claim/catchy line]{dot}",
            "I [run/own/have/opened/am opening] {a}{c}. " + MAKE + " a [slogan/motto/tagline]{dot}",
            "[slogan/motto/tagline][:/,] {t}{c}", "What is a [good/catchy] [slogan/motto/tagline] for {a}{c}?",
            "What [motto/slogan/tagline] [suits/fits/would suit] [my/our] {t}{c}?", "{t}{c}: [slogan/motto/tagline] please",
        ),
        a=with_article(trade), t=trade, c=pen.say(" called {b}", " named {b}", ", {b}", b=brand) if brand else "", dot=pen.rng.choice((".", "")),
    )  # fmt: skip
    own = brand or pen.say("Your {t}", t=trade)
    answer = pen.say(
        "{b}: {q} {th}, every day.", "{b} – {v} the difference.", "{b}. Made for {th}, made for you.", "{b}: where {th} feels at home.",
        "{b} – because {q} {th} makes good days better.", "{v} more. Worry less. {b}.", "{b}: the {q} side of life.", "{q} {th}, open hearts: {b}.",
        b=own, q=quality, th=thing, v=verb,
    )  # fmt: skip
    return asked, answer[0].upper() + answer[1:], (own if brand else trade,)


_ROLES = ["clockmaker", "sailor", "baker", "detective", "gardener", "painter", "astronaut", "teacher", "thief", "inventor", "librarian", "musician", "doctor", "king", "queen", "witch", "knight", "shepherd", "fisherman", "postman", "pilot", "diver", "student", "cook", "beekeeper", "tailor", "lighthouse keeper", "train driver", "magician", "robot", "dragon", "fox", "cat"]  # fmt: skip
_WHO = [
    "who {v} [a/the] {n}", "who learns to {v2}", "who is afraid of {n}", "who cannot sleep",
    "who talks to {n}", "who dreams of {n}", "who lost [a/the] {n}", "who lives in a {n}",
    "who collects [old/strange] things", "who wants to see {p}",
]  # fmt: skip
_STORY = {
    "mystery": (
        "Nobody in {p} spoke about it, but everyone knew.|The letter arrived without a stamp and without a name.|It was the third night that the lights went out.",
        "On the doorstep lay {o}, still warm.|Something was missing: {o}.|In the drawer, under old papers, lay {o}.",
        "Whoever had left it there would come back.|And then there was a knock at the door.|Only one person could have done it.",
    ),
    "fairy tale": (
        "Once upon a time, far behind the hills, the days were long and the nights were kind.|Once upon a time, when wishes still came true, strange things happened in {p}.",
        "One morning, beside the well, {o} began to glow.|An old woman at the gate held out {o} and smiled.|Deep in the wood, {o} was waiting.",
        "\"Take it,\" said a small voice, \"but never look back.\"|And so the journey began.|From that day on, nothing was as before.",
    ),
    "science fiction": (
        "The ship had been silent for a hundred years.|In the year 2190, the sky over {p} was full of lights.|The second moon rose on time, but the signal did not stop.",
        "On the screen appeared {o}, turning slowly.|Under the ice they had found {o}.|The computer knew only two words: {o}.",
        "It was not made by human hands.|Then the engines woke up on their own.|Somewhere out there, someone was answering.",
    ),
    "adventure": (
        "The map was wrong, and that was the good news.|The wind had turned, and there was no time to lose.|Everyone said that the road to {p} was closed.",
        "At the bottom of the bag lay {o}.|All that was left was {o}.|Behind the waterfall glittered {o}.",
        "\"Now or never,\" said a voice in the dark.|One step, then another, and the bridge began to shake.|The race had begun.",
    ),
    "": (
        "It was a morning like any other in {p}.|The rain had stopped, and the streets of {p} were shining.|Summer came early that year.",
        "Then, on the kitchen table, there was {o}.|Nobody could explain where {o} came from.|In the window of the old shop stood {o}.",
        "That was how it all began.|Nothing would be the same after this day.|And for the first time in years, there was something to hope for.",
    ),
}  # fmt: skip


def story(pen: Pen) -> Made:
    role = pen.noun() if pen.chance(0.3) else pen.pick(_ROLES)
    adjective = f"{pen.pick(_ADJECTIVES, pen.adjective)} " if pen.chance(0.4) else ""
    hero = with_article(adjective + role)
    name = pen.first_name() if pen.chance(0.6) else ""
    clause = ""
    if pen.chance(0.5):
        clause = " " + pen.say(
            *_WHO, v=pen.rng.choice(("finds", "steals", "builds", "repairs", "loses")), n=pen.noun(), p=pen.place(),
            v2=pen.rng.choice(("fly", "paint", "dance", "sing", "swim", "bake", "dream")),
        )  # fmt: skip
    place = pen.place() if pen.chance(0.45) else ""
    thing = (
        f"{pen.say('a', 'the')} {pen.pick(_ADJECTIVES, pen.adjective)} {pen.noun()}"
        if pen.chance(0.4)
        else ""
    )
    genre = pen.rng.choice(["", *_STORY])
    lead = f"{hero} {pen.say('called', 'named')} {name}{clause}" if name else hero + clause
    asked = pen.ask(
        "[Write/Write me/Tell] the [beginning/opening/start] of {g} about {h}{p}{t}{dot}",
        "[story opening/opening of a story/start of a story] about {h}{p}{t}",
        "[Begin/Start/Open] {g} about {h}{p}{t}{dot}",
        "[Write/Tell me/write] {g} about {h}{p}{t}{dot}",
        "[Please write/I want] the first lines of {g} about {h}{p}{t}{dot}",
        more=(
            MAKE + " {g} about {h}{p}{t}{dot}",
            MAKE + " the [first/opening] [sentences/paragraph/words/part/lines] of {g} [about/with] {h}{p}{t}{dot}",
            MAKE + " [an opening/a beginning/a start/an introduction/a first paragraph] [for/of/to] {g} about {h}{p}{t}{dot}",
            I_NEED + " {g} [about/with] {h}{p}{t}{dot}",
            I_NEED + " [the beginning/a beginning/an opening/the start/the opening lines] [of/for] {g} about {h}{p}{t}{dot}",
            "[Tell/Tell us/Tell the children/Tell my son/Narrate/Read me] {g} [about/of] {h}{p}{t}{dot}",
            "How [does/could/would/might] {g} about {h}{p}{t} [begin/start/open]?",
            "[story/tale/beginning/Story idea/A story][:/ –] {h}{p}{t}", "[story/short story/little story] [of/with/about] {h}{p}{t}",
            "[Let us begin/Let's start/Imagine/Begin] {g} [about/with] {h}{p}{t}{dot}",
            "{g} about {h}{p}{t}[, please/ please/]{dot}",
        ),
        g=f"{with_article(genre)} story" if genre else "a story",
        h=lead, p=f" in {place}" if place else "", t=f" with {thing}" if thing else "", dot=pen.rng.choice((".", "")),
    )  # fmt: skip
    if genre and genre not in asked:
        genre = ""
    first, second, third = _STORY[genre]
    hero_line = pen.say(
        "This is the story of {h}.", "There was {h}.", "Here lived {h}.", "It begins with {h}.", h=lead
    )
    parts = [
        pen.say(*first.split("|"), p=place or pen.say("the village", "the harbour town", "the old city", "the valley")),
        hero_line,
        pen.say(
            *second.split("|"),
            o=thing or pen.say("a [silver/small/rusty/blue] [key/box/bell/coin/mirror]", "a letter with a green seal"),
        ),
        pen.say(["{n} held [his/her] breath.", "{n} looked twice.", "{n} did not move.", "{n} smiled."][pen.rng.randrange(4)], n=name or f"The {role}"),
        pen.say(*third.split("|")),
    ]  # fmt: skip
    if place and place not in parts[0]:
        parts[1] = parts[1][:-1] + f" in {place}."
    return asked, " ".join(parts), tuple(f for f in (lead, place, thing) if f)


_OCCASIONS = {
    "birthday": "Happy birthday, {n}!|{n}, happy birthday to you!;I wish you a year full of joy and good surprises.|May all your wishes come true.",
    "wedding": "Congratulations on your wedding, {n}!|{n}, all the best for your wedding!;May your life together be full of love and laughter.|I am so happy for you both.",
    "new job": "Congratulations on your new job, {n}!|{n}, all the best for your new job!;They are lucky to have you.|I am sure that you will do great things there.",
    "farewell": "Goodbye and good luck, {n}!|{n}, we will miss you!;Thank you for the good time together.|Come and see us whenever you like.",
    "get well": "Get well soon, {n}!|{n}, I hope you feel better soon!;Take all the time you need to rest.|I am thinking of you.",
    "thank-you": "Thank you so much, {n}!|{n}, many thanks!;Your help meant a lot to me.|I really appreciate what you did.",
    "anniversary": "Happy anniversary, {n}!|{n}, happy anniversary!;Here is to many more happy years.|What a wonderful reason to celebrate.",
    "graduation": "Congratulations on your graduation, {n}!|{n}, well done on your graduation!;All your hard work has paid off.|Enjoy this big day.",
    "new baby": "Congratulations on your new baby, {n}!|{n}, welcome to the little one!;I wish your family health and happiness.|Enjoy every little moment.",
    "good luck": "Good luck, {n}!|{n}, I wish you good luck!;I will keep my fingers crossed.|You can do it.",
    "housewarming": "Congratulations on your new home, {n}!|{n}, welcome to your new home!;May it be full of friends and laughter.|I cannot wait to visit you.",
    "New Year": "Happy New Year, {n}!|{n}, a happy New Year to you!;I wish you health and many bright days.|May it be your best year so far.",
}  # fmt: skip


def message(pen: Pen) -> Made:
    occasion, name = pen.rng.choice(list(_OCCASIONS)), pen.person()
    hobby = pen.hobby() if pen.chance(0.5) else ""
    sender = pen.sender() if pen.chance(0.5) else ""
    age = f"{pen.rng.randint(18, 90)}" if occasion == "birthday" and pen.chance(0.4) else ""
    extra = ""
    if age:
        extra += pen.say(" who turns {a}", ", turning {a}", " who is turning {a}", a=age)
    if hobby:
        extra += pen.say(
            " and loves {h}" if age else " who loves {h}", ", a fan of {h}", ", who likes {h}", h=hobby
        )
    if sender:
        extra += pen.say(" from {s}", ", from {s}", ". Sign it {s}", ", signed {s}", s=sender)
    tone = pen.say("", "", "short ", "warm ", "funny ", "friendly ")
    asked = pen.ask(
        "[Write/Write me/Create] a {t}{o} [message/card/note/greeting] for {n}{e}{dot}",
        "[{o} message/{o} card/{o} wishes] for {n}{e}",
        "[I need/Help me write/Can you write] a {t}{o} [message/card] [for/to] {n}{e}{dot}",
        "[Send/Wish] {n} a {t}{o} message{e}{dot}",
        "[Please write/Compose] some {t}{o} wishes for {n}{e}{dot}",
        more=(
            MAKE + " [a/one] {t}{o} [message/card/note/greeting/text/wish] [for/to] {n}{e}{dot}",
            MAKE + " [some/a few/my] {t}{o} [greetings/words/lines/sentences] [for/to] {n}{e}{dot}",
            MAKE + " {t}{o} [wishes/greetings] [for/to] {n}{e}{dot}",
            I_NEED + " [a/some] {t}{o} [message/card/greetings/words/text] [for/to] {n}{e}{dot}",
            "[{o} greetings/{o} text/{o} note/{o} greeting] [to/for] {n}{e}",
            "What [can/should/could/shall] I write [to/for] {n} [for the/on the/in a] {o} [card/message]{e}?",
            "[I want to/Let me/Help me to/We would like to] [send/write/give] {n} a {t}{o} [message/card/note]{e}{dot}",
            "[Send/Write/Give/Wish] {n} [some/my/our] {t}{o} [wishes/greetings]{e}{dot}",
            "{n} [needs/should get/gets/deserves] a {t}{o} [message/card]{e}{dot}",
        ),
        t=tone, o=occasion, n=name, e=extra, dot=pen.rng.choice((".", "")),
    )  # fmt: skip
    hello, wish = _OCCASIONS[occasion].split(";")
    lines = [pen.say(*hello.split("|"), n=name)]
    if age:
        lines.append(pen.say("{a} looks good on you.", "{a} is a great age.", "Welcome to {a}!", a=age))
    lines.append(pen.say(*wish.split("|")))
    if hobby:
        lines.append(
            pen.say(
                "I hope there is plenty of time for {h}.",
                "Enjoy lots of {h}!",
                "May there always be time for {h}.",
                h=hobby,
            )
        )
    answer = " ".join(lines) + (
        f"\n\n{pen.say('Love,', 'Yours,', 'Best wishes,')}\n{sender}" if sender else ""
    )
    return asked, answer, tuple(f for f in (name, age, hobby, sender) if f)


_COUPLETS = ["I think of {s} when the day is new,\nand all the sky is turning blue.", "The morning wakes, the light is clear,\nand thoughts of {s} are always near.", "I found a song about {s} one day,\nand could not send the tune away.", "Some talk of gold, some talk of fame,\nbut {s} is sweeter than a name.", "The evening comes, the lamps burn low,\nand {s} is all I want to know.", "When winter winds are cold and long,\nthe thought of {s} becomes a song.", "So here's to {s}, in sun and rain,\nthat makes me smile and smile again.", "The years may pass, the leaves may fall,\nbut {s} is dearer than them all.", "A little word, a quiet rhyme,\nfor {s}, until the end of time.", "And when the stars begin to gleam,\nthen {s} comes softly through my dream."]  # fmt: skip


def poem(pen: Pen) -> Made:
    s = pen.subject()
    asked = pen.ask(
        "[Write/Write me/Create] a [short /little /]poem about {s}{dot}",
        "[poem/short poem/a poem] about {s}",
        "[Can you write/I would like/Please write] a [short /little /]poem [about/on] {s}{dot}",
        "[Make/Compose] [a few rhyming lines/four lines/a rhyme] about {s}{dot}",
        "[I need/Invent] [a verse/a little poem] about {s}{dot}",
        more=(
            MAKE + " [a/one] [poem/short poem/little poem/verse/rhyme/four-line poem/tiny poem/small poem/nice poem/quatrain] [about/on/for/in praise of] {s}{dot}",
            MAKE + " [some verses/a few verses/a few rhymes/some rhymes/rhyming lines/four rhyming lines/a couple of rhymes/some poetry] [about/on/for] {s}{dot}",
            I_NEED + " [a/one] [poem/short poem/rhyme/four-line poem/nice poem] [about/on/for] {s}{dot}",
            I_NEED + " [some verses/a few rhymes/four lines/some rhyming lines] [about/on/for] {s}{dot}",
            "[Rhyme/rhyme/Rhyme something/Rhyme a little] [about/on] {s}{dot}", "Put {s} into [a poem/verse/rhyme/four lines]{dot}",
            "[A poem/A rhyme/A verse/Verses/Rhymes/A little poem] [on/about/for] {s}[, please/ please/]{dot}",
            "Praise {s} in [a poem/four lines/verse/a rhyme]{dot}", "{s}: [a poem/write a poem/poem please/in rhyme/as a poem]",
            "[Do you know/Can you make/Can you do] a [poem/rhyme/verse] [about/on] {s}?",
        ),
        s=s, dot=pen.rng.choice((".", "")),
    )  # fmt: skip
    return asked, "\n".join(pen.say(c, s=s) for c in pen.in_turn(_COUPLETS, 2)), (s,)


def image_prompt(pen: Pen) -> Made:
    """A few words become a full prompt in the vocabulary of `starter/image`."""
    words = WORDS
    if pen.chance(0.45):
        shape, colour = pen.rng.choice(list(words["shape"])), pen.rng.choice(list(words["colour"]))
        core = pen.say("{c} {s}", "{s}", c=colour, s=shape)
        core = with_article(core)
        kind = pen.say(" logo", " icon", " emblem", "")
        background = pen.rng.choice([c for c in words["colour"] if c != colour])
        frame = pen.say("in a ring", "in a square frame", "without a frame")
        answer = pen.say(
            "{k}: {c}, {f}, {b} background, flat design, clean, simple",
            k=kind.strip() or "logo",
            c=core,
            f=frame,
            b=background,
        )
        core += kind
    else:
        place = pen.rng.choice(list(words["place"]))
        fitting = [thing for thing, places in OBJECT_PLACES.items() if place in places]
        thing = pen.rng.choice([*fitting, ""])
        if thing in COLOURED and pen.chance(0.7):
            thing = f"{pen.rng.choice(OBJECT_COLOURS)} {thing}"
        time, weather = pen.rng.choice(list(words["time"])), pen.rng.choice(list(words["weather"]))
        core = (f"{with_article(thing)} {pen.say('by the', 'in the', 'near the')} " if thing else "") + place
        given = pen.say(f" at {time}", "") if time != "day" else ""
        core += given
        parts = [core, *([] if given else [words["time"][time][1]]), words["weather"][weather][1]]
        if place in SEASONAL:
            parts.append(words["season"][pen.rng.choice(list(words["season"]))][1])
        parts += pen.rng.sample(
            ("landscape", "flat design", "beautiful", "clean", "illustration", "poster", "modern"), 3
        )
        answer = ", ".join(parts)
    asked = pen.ask(
        "[Improve/Enrich/Extend] this image prompt: {c}",
        "[image prompt/prompt for a picture]: {c}",
        "[Write/Make/Create] an image prompt [for/of/from]: {c}",
        "[Write/Make/Create] an image prompt for {c}{dot}",
        "[Turn this into/Make this] a better image prompt: {c}",
        more=(
            MAKE + " [a/one] [image prompt/picture prompt/prompt for an image/detailed prompt/good image prompt] [of/for/from/about/with][ /: ]{c}",
            "[Polish/Expand/Beautify/Refine/Complete/Improve/Enrich/Add details to] [this/my/the] [image prompt/prompt/picture prompt][:/ –] {c}",
            "I want to [paint/draw/generate/see/make a picture of] {c}. " + MAKE + " [the/an image/a good] prompt{dot}",
            "[Turn/Make] {c} into [an image prompt/a prompt for a picture/a picture prompt]{dot}", "[prompt/picture prompt/image][:/ –] {c}",
            I_NEED + " [an image prompt/a prompt/a prompt for a picture] [for/of] {c}{dot}", "How do I describe {c} [to an image model/in an image prompt]?",
        ),
        c=core, dot=pen.rng.choice((".", "")),
    )  # fmt: skip
    return asked, answer, (core.removesuffix(" logo").removesuffix(" icon").removesuffix(" emblem"),)


_REACH = "e-mails, report outlines, product texts, captions, slogans, stories, poems, messages, summaries, titles and image prompts"

_BEYOND = f"That is beyond me: I am only the small Atelier starter model. I can write {_REACH}."


def out_of_reach(pen: Pen) -> Made:
    """What the model cannot do, and small talk: a short honest sentence."""
    if pen.chance(0.3):
        asked = pen.say(
            "[Hi/Hello/Hey/hi/hello/Good morning][!/./ there/]", "[Who/What] are you?", "What can you do[?/ for me?]", "[How are you/Are you there]?",
            "[Help/help/Help me]", "[Thanks/Thank you/thanks][!/.]", "[Are you ChatGPT/Are you a human/What is your name]?", "[test/Test/testing]",
        )  # fmt: skip
        return (
            asked,
            f"Hello! I am the small Atelier starter model. I can write {_REACH}.",
            ("starter model",),
        )
    n, other = pen.noun(), pen.noun()
    if pen.training_does(0.4):
        asked = pen.say(
            MAKE + " [a song/a novel/a contract/a recipe/a program/a website/a spreadsheet/a shopping list/a workout plan/a CV/a horoscope/a crossword/a screenplay/"
            "some code/a map/a drawing/a joke/a quiz/a list of facts/a dictionary entry/an essay/a translation/a speech/a dialogue/a table/a calendar] [about/for/on/of/with] {n}{dot}",
            I_NEED + " [a recipe/a song/a program/a doctor/a lawyer/directions/a drawing/a joke/a table/a fact/an essay/the price] [about/for/on/of] {n}{dot}",
            "[Draw/Paint/Sing/Buy/Show me/Download/Print/Measure/Calculate/Count/Translate/Correct/Delete] [the/a/my/some/this] {n}{dot}",
            "[What/Who/Where/When/Why] [is/was/are/were] {n}?", "[What do you think/Tell me the truth/Give me facts] about {n}{dot}",
            "[Do/Can/Will/Would] you [like/know/understand/remember/love] {n}?", "{n}", "{n}?", "[I feel/I am] [sad/tired/ill/happy/bored] [because of/about] {n}{dot}",
            n=n, dot=pen.rng.choice((".", "", "!")),
        )  # fmt: skip
        return pen.politely(asked) if pen.chance(0.3) else asked, _BEYOND, ("starter model",)
    asked = pen.say(
        "What is the capital of {p}?", "[Who/Why/How/When/Where] [is/was/invented/did] [the/a] {n}[?/ and why?]", "What is {a} [times/plus/minus/divided by] {b}?",
        "{a} [*/+/-/÷] {b}[=/ = ?/]", "[Translate/translate] \"{n} and {o}\" [into/to] [German/French/Spanish/Italian/Japanese]{dot}",
        "Who won the [election/match/world cup/race] in {y}?", "What is the [weather/time/news] in {p} [today/tomorrow/now]?",
        "[Write/Give me] [Python/Java/C++] code [for/that sorts] {n}{dot}", "[Explain/explain] [how {n} works/quantum physics/the {n}/{h}]{dot}",
        "[How do I/How can I/How to] [repair/cook/install/clean/buy] [a/the/my] {n}?", "[Solve/Compute] {a}x + {b} = {y}{dot}",
        "[How many/How much] {n} [are there/is needed] in {p}?", "[Recommend/Suggest] [a restaurant/a hotel/a film/a {n}] in {p}{dot}",
        "[Is/Are] {n} better than {o}?", "[Tell me/What do you know] about {p}[./?/ and {n}.]", "What [does/is] {n} mean[?/ in {p}?]", "Should I [buy/sell/eat] {n}?",
        "[Remember/Book/Order/Call/Open/Play] [the/a/my] {n}{dot}", "What is the [meaning/price/history/colour/best kind] of {n}?",
        p=pen.place(), n=n, o=other, a=pen.rng.randint(2, 99), b=pen.rng.randint(2, 99), y=pen.rng.randint(1950, 2030), h=pen.hobby(),
        dot=pen.rng.choice((".", "")),
    )  # fmt: skip
    return asked, _BEYOND, ("starter model",)
