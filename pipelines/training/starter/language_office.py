"""Office writing for the text corpus: report outlines, product texts and title ideas.

Each maker draws facts from a `Pen`, phrases an instruction that holds them, and writes an answer that carries them over.
"""

from pipelines.training.starter.language_words import (
    I_NEED,
    MAKE,
    NUMBER_WORDS,
    Made,
    Pen,
    listed,
    with_article,
)

_SECTIONS = (
    ("Introduction", "Why {s} matters now|What this report covers|Who this report is for"),
    ("Background", "How it began|Earlier work on {s}|Key words explained"),
    ("Current situation", "Facts and figures|Strengths and weaknesses|What people say about {s}"),
    ("Goals", "What we want to reach|How success is measured|Limits of the work"),
    ("Methods", "Where the data come from|Interviews and observations|How {s} was studied"),
    ("Findings", "The most important results|Surprises|What the numbers say about {s}"),
    ("Costs and benefits", "Costs in the first year|Expected savings|Who gains from {s}"),
    ("Risks", "What could go wrong|How risks are reduced|Plan B"),
    ("Options", "Keep things as they are|A small change|A new start for {s}"),
    ("Recommendations", "First steps|Who does what|Time plan"),
    ("Conclusion", "Summary of the main points|Open questions|The future of {s}"),
)  # fmt: skip


def report(pen: Pen) -> Made:
    s, count = pen.subject(), pen.rng.choice((3, 4, 4, 5, 5, 6, 7))
    named = pen.chance(0.5)
    count = pen.rng.randint(3, 8) if pen.training_does(0.5) else count
    count = count if named else 5
    number = pen.rng.choice((str(count), NUMBER_WORDS[count]))
    reader = pen.say(
        "the board", "the team", "our partners", "the city council", "the management", "our customers"
    )
    with_reader = pen.chance(0.3)
    asked = pen.ask(
        "[Write/Draft/Make/Create] [an outline for a report/a report outline/the outline of a report] [on/about] {s}{r}{n}{dot}",
        "[Outline/outline] a report [on/about] {s}{r}{n}{dot}",
        "[report outline/outline report] [on/about] {s}{r}{n}",
        "[I need/Can you make/Please give me] a [report outline/structure for a report] [on/about] {s}{r}{n}{dot}",
        "[Plan/Prepare] a report about {s}{r}{n}{dot}",
        more=(
            MAKE
            + " [an outline/a structure/a table of contents/a plan/a skeleton/the chapters/the sections/the parts/headings] [for/of] [a/my/our/the] report [on/about/concerning] {s}{r}{n}{dot}",
            MAKE
            + " [a/my/the/our] [report/report outline/outline of a report/report plan/report structure] [on/concerning/covering] {s}{r}{n}{dot}",
            I_NEED
            + " [an outline/a structure/the outline/a plan/a report] [for a report on/of a report about/on/about] {s}{r}{n}{dot}",
            "[Structure/Organise/Sketch/Outline/Sketch out] [my/a/the/our] report [on/about] {s}{r}{n}{dot}",
            "How [should/can/could/do] I [structure/organise/outline/build] a report [on/about] {s}{r}{n}?",
            "I [have to/must/want to/will] write a report [on/about] {s}{r}{n}. [Make an outline/Outline it/Help me with the outline/What goes in it?]{dot}",
            "[report/outline/report structure][:/ –] {s}{r}{n}",
            "What [belongs in/should be in/goes into] a report [on/about] {s}{r}{n}?",
            "[A report/An outline/A report outline] [on/about] {s}{r}{n}[, please/ please/]{dot}",
        ),
        s=s,
        r=f" for {reader}" if with_reader else "",
        n=pen.say(" with {n} [sections/chapters/parts]", ", {n} [sections/parts]", n=number) if named else "",
        dot=pen.rng.choice((".", "")),
    )
    middle = sorted(pen.rng.sample(range(1, len(_SECTIONS) - 1), count - 2))
    chosen = [_SECTIONS[i] for i in (0, *middle, len(_SECTIONS) - 1)]
    lines = [f"Report: {s}"] + ([f"For {reader}"] if with_reader else [])
    for place, (title, points) in enumerate(chosen, 1):
        lines += ["", f"{place}. {title}"]
        options = points.split("|")
        lines += [f"   - {pen.say(p, s=s)}" for p in sorted(pen.rng.sample(options, 2), key=options.index)]
    end = f"{count}. Conclusion" if named else "Conclusion"  # whoever names no number gets any
    return asked, "\n".join(lines), (s, end, *([reader] if with_reader else []))


_PRODUCTS = [
    "mug", "bottle", "vase", "lamp", "chair", "backpack", "notebook", "sneaker", "watch", "candle", "kettle",
    "teapot", "blanket", "pillow", "umbrella", "desk", "pen", "headphones", "speaker", "bicycle", "tent",
    "jacket", "scarf", "wallet", "sofa", "knife", "pan", "toaster", "camera", "drone", "keyboard", "soap",
    "chocolate", "jam", "coffee",
]  # fmt: skip
_FEATURES = [
    "light", "waterproof", "made of cork", "made of glass", "made by hand", "easy to clean", "foldable",
    "very quiet", "made from recycled paper", "full of colour", "ready in seconds",
    "small enough for every bag", "made in {p}", "available in {n} colours", "warm and soft", "rechargeable",
    "strong as steel", "made of oak", "good for the planet", "made to last", "easy to repair",
    "safe for children", "fast", "simple to use", "scratch-proof",
]  # fmt: skip


def product(pen: Pen) -> Made:
    thing = pen.noun() if pen.chance(0.2) else pen.pick(_PRODUCTS)
    name = pen.brand() if pen.chance(0.7) else ""
    told = pen.chance(0.75)
    n = pen.rng.randint(1, 4)
    chosen = pen.several(_FEATURES, n) if told else pen.in_turn(_FEATURES, 3)
    features = [pen.say(f, p=pen.place(), n=pen.rng.randint(3, 12)) for f in chosen]
    features = [_new_feature(pen) if told and pen.training_does(0.3) else feature for feature in features]
    thing = pen.noun() if pen.training_does(0.2) else thing
    price = f"{pen.rng.randint(4, 299)} euros" if pen.chance(0.25) else ""
    who = (
        pen.pick(
            _AUDIENCE,
            lambda: pen.say("{n} [lovers/fans/owners]", "{a} {n}s", "{n}s", n=pen.noun(), a=pen.adjective()),
        )
        if pen.chance(0.3)
        else ""
    )
    extra = f" for {who}" if who else ""
    if told:
        extra += pen.say(
            " that is {f}", ". It is {f}", ", {f}", ": {f}", " with these features: {f}", f=listed(features)
        )
    if price:
        extra += pen.say(". Price: {p}", ". It costs {p}", ", {p}", p=price)
    called = pen.say(" called {b}", " named {b}", " ({b})", b=name) if name else ""
    asked = pen.ask(
        "[Write/Draft/Create] [a product description/a product text/product copy] for {a}{called}{extra}{dot}",
        "[Describe/describe] [the/our] [product/new product]: {a}{called}{extra}{dot}",
        "[product description/product text] {thing}{called}{extra}",
        "[I sell/We sell] {a}{called}{extra}. [Write a product text/Describe it for the shop].",
        "[Please write/Can you write] a [shop text/product description] for [our/the] {thing}{called}{extra}{dot}",
        more=(
            MAKE + " [a product text/a sales text/an advert/an ad text/product copy/a description/a sales pitch/a shop description/a web shop text/a catalogue text/a product page/an advertisement] [for/about] {a}{called}{extra}{dot}",
            MAKE + " [a product text/a sales text/an advert/a shop text/a product description/a catalogue text] [for/about] [our/my/the/this/a new] {thing}{called}{extra}{dot}",
            I_NEED + " [a product text/a description/a shop text/a product description/an advert/a sales text] [for/of/about] [a/our/my/the/this] {thing}{called}{extra}{dot}",
            "[Advertise/Promote/Present/Market/Describe/Praise] [our/my/the/this/a] {thing}{called}{extra}{dot}",
            "[Our/My/The] new product is {a}{called}{extra}. [Describe it/Write a text for the shop/Write the product text/Advertise it]{dot}",
            "[New in our shop/For our web shop/For the catalogue/For sale][:/ –] {a}{called}{extra}{dot}",
            "[We make/We produce/We offer/I make/I am selling] {a}{called}{extra}. [It needs a description/What should the product text say?/Write a product text/Product text, please]{dot}",
            "[shop text/sales text/advert/description][:/ for] {thing}{called}{extra}",
        ),
        a=with_article(thing), thing=thing, called=called, extra=extra, dot=pen.rng.choice((".", "")),
    )  # fmt: skip
    title = name or f"The {thing}"
    lead = pen.say(
        [
            "Meet {name}, the {thing} for {who}.",
            "{name} is a {thing} made for {who}.",
            "Say hello to {name}, your new {thing} for {who}.",
        ][pen.rng.randrange(3)],
        name=name or "our favourite",
        thing=thing,
        who=who
        or pen.say("every day", "home and travel", "people who love good things", "the small joys of life"),
    )
    close = pen.say(
        [
            "Try it once and you will not want to be without it.",
            "Made with care, from the first idea to the last detail.",
            "A little luxury that you will use every day.",
            "Simple, honest and a pleasure to use.",
        ][pen.rng.randrange(4)]
    )
    bullets = [f"- {f}" for f in features]
    lead = lead[0].upper() + lead[1:]
    answer = "\n".join([title, "", lead, "", *bullets, "", close, *([f"Now for {price}."] if price else [])])
    facts = [
        thing,
        *([name] if name else []),
        *(features if told else []),
        *([price] if price else []),
        *([who] if who else []),
    ]
    return asked, answer, tuple(facts)


def _new_feature(pen: Pen) -> str:
    return pen.say(
        "made of {n}", "with {k} {n}s", "{a} and {b}", "full of {n}", "good for {g}", "in {a} {n}", "{a}", "{k} [cm/kg/g/litres]", "from {p}", "as {a} as {n}",
        n=pen.noun(), k=pen.rng.randint(2, 500), a=pen.adjective(), b=pen.adjective(), g=pen.group(), p=pen.place(),
    )  # fmt: skip


_AUDIENCE = [
    "students", "families", "travellers", "small offices", "tea lovers", "gardeners", "beginners",
    "children", "night owls", "runners", "artists", "cooks",
]  # fmt: skip


_TITLES = [
    "A short guide to {s}", "The quiet joy of {s}", "Everything we learned from {s}", "Beyond {s}",
    "Inside the world of {s}", "In praise of {s}", "Ten small lessons about {s}",
    "How to get started with {s}", "Five myths about {s}", "The future of {s}", "The hidden side of {s}",
    "Life with {s}", "A love letter to {s}", "What nobody tells you about {s}", "First steps with {s}",
    "Rethinking {s}", "The secrets of {s}", "One year of {s}", "Small steps, big changes: {s}",
    "Stories about {s}", "A fresh look at {s}", "Questions and answers about {s}", "The art of {s}",
    "Why we need {s}", "Falling in love with {s}", "Mistakes to avoid with {s}",
]  # fmt: skip


def titles(pen: Pen) -> Made:
    s, count = pen.subject(), pen.rng.choice((3, 4, 5, 5, 6, 7, 8))
    named = pen.chance(0.7)
    count = count if named else 5
    n = pen.rng.choice((str(count), NUMBER_WORDS[count])) if named else "some"
    form = pen.say("blog post", "book", "talk", "article", "video", "podcast", "magazine story", "newsletter")
    asked = pen.ask(
        "[Give me/Suggest/Find/Write] {n} title ideas for {af} [about/on] {s}{dot}",
        "{n} [titles/title ideas] for {af} [about/on] {s}",
        "[I need/Think of/Please suggest] {n} titles for my {form} about {s}{dot}",
        "[What could I call/How could I name] my {form} about {s}? Give me {n} ideas.",
        "[Come up with/Invent] {n} [titles/headlines] for {af} about {s}{dot}",
        more=(
            MAKE + " {n} [names/headings/title ideas/possible titles/good titles/working titles/suggestions for a title/ideas for a title] for {af} [about/on/concerning] {s}{dot}",
            MAKE + " {n} [titles/headlines/title ideas/headings] [about/on] {s} for [{af}/my {form}/the {form}/our {form}]{dot}",
            MAKE + " [a list of/a choice of/a set of] {n} [titles/headlines/names/title ideas] for {af} [about/on] {s}{dot}",
            MAKE + " {n} [catchy/short/good/interesting/original/different] [titles/headlines/title ideas] for [my/our/the/this] {form} [about/on] {s}{dot}",
            MAKE + " {n} {form} [titles/headlines/title ideas/headings] [about/on] {s}{dot}",
            I_NEED + " {n} [titles/headlines/names/headings/title ideas] for {af} [about/on] {s}{dot}",
            "[titles/headlines/title ideas/headings][:/] {af} [about/on] {s}, {n}[ please/ of them/]",
            "[My/Our/The] {form} is about {s}. " + MAKE + " {n} [titles/headlines/ideas for the title/headings]{dot}",
            "[What are/Do you have/Are there/Do you know] {n} good [titles/headlines] for {af} [about/on] {s}?",
            "How [should/can/could/shall] I [title/name/call] [my/our/the] {form} [about/on] {s}? {n} [ideas/titles/headlines], please.",
            "{n} [headlines/headings/ideas for a title/names] for {af} [about/on] {s}[, please/ please/]{dot}",
            "[I am writing/We are making/I plan] {af} [about/on] {s} and need {n} [titles/headlines/title ideas]{dot}",
        ),
        n=n, form=form, af=with_article(form), s=s, dot=pen.rng.choice((".", "")),
    )  # fmt: skip
    chosen = pen.in_turn(_TITLES, count)
    answer = "\n".join(f"{i}. {pen.say(t, s=s)}" for i, t in enumerate(chosen, 1))
    return asked, answer, (s, f"{count}. ")
