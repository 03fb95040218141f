"""Office writing for the text corpus: e-mails, report outlines, product texts, summaries and title ideas.

Each maker draws facts from a `Pen`, phrases an instruction that holds them, and writes an answer that carries them over.
"""

from pipelines.training.language_words import (
    FIRST_NAMES,
    HOBBIES,
    MONTHS,
    NUMBER_WORDS,
    Pen,
    listed,
    with_article,
)

Made = tuple[str, str, tuple[str, ...]]  # instruction, answer, facts the answer must carry

_TONES = {
    "": "plain", "formal": "formal", "polite": "formal", "professional": "formal", "friendly": "warm", "warm": "warm",
    "casual": "warm", "cheerful": "warm", "short": "brief", "brief": "brief", "firm": "firm", "serious": "formal",
}  # fmt: skip

_OPENINGS = {
    "about": (
        "I am writing about {topic}.|this is a short note about {topic}.|I wanted to give you an update on {topic}.|"
        "I would like to talk with you about {topic}.|here is the latest news on {topic}."
    ),
    "apology": (
        "I am sorry about {topic}.|please accept my apology for {topic}.|I would like to apologise for {topic}.|"
        "I am very sorry for the trouble with {topic}."
    ),
    "thanks": (
        "thank you very much for your help with {topic}.|many thanks for your support with {topic}.|"
        "I would like to thank you for {topic}.|thank you so much for {topic}."
    ),
    "invite": (
        "I would like to invite you to {topic}.|you are warmly invited to {topic}.|please join us for {topic}.|"
        "it would be a pleasure to see you at {topic}."
    ),
    "remind": (
        "this is a friendly reminder about {topic}.|I would like to remind you of {topic}.|"
        "please do not forget {topic}.|just a short reminder about {topic}."
    ),
    "ask": (
        "could you please send me some news on {topic}?|I have a question about {topic}.|"
        "I would like to ask you about {topic}.|could you tell me more about {topic}?"
    ),
    "complain": (
        "I am not happy with {topic}.|I have to complain about {topic}.|there is a problem with {topic}.|"
        "I am disappointed with {topic}."
    ),
    "cancel": (
        "unfortunately I have to cancel {topic}.|I am sorry, but I must cancel {topic}.|"
        "I am writing to cancel {topic}.|sadly we have to call off {topic}."
    ),
}  # fmt: skip
_MIDDLES = {
    "about": (
        "The work is going well and most of the open points are settled.|A few questions are still open, and your view would help "
        "us a lot.|We have looked at it carefully and found a good way forward.|I will share all the details with you soon.|"
        "We would like to decide the next steps together with you."
    ),
    "apology": (
        "This should not have happened, and we are working hard to put it right.|I understand that this caused you extra work.|"
        "We have changed our plans so that it does not happen again.|It was our mistake, and we will make up for it."
    ),
    "thanks": (
        "It made a real difference to all of us.|Your time and your good ideas were a great help.|"
        "Without you it would have taken much longer.|The whole team was delighted."
    ),
    "invite": (
        "There will be good food, good company and time to talk.|We have planned a small programme and would love to have you with us.|"
        "Please feel free to bring a guest.|We look forward to a pleasant time together."
    ),
    "remind": (
        "A few details are still missing on our side.|It would be great to have everything ready in time.|"
        "If you have already taken care of it, please ignore this message.|It is important for the next steps."
    ),
    "ask": (
        "A short answer is enough for now.|We need the details to plan our next steps.|Any information would be a great help.|"
        "If it is easier for you, we can talk on the phone."
    ),
    "complain": (
        "I expected better, and I would like to know how you will solve this.|Please let me know what you will do about it.|"
        "This is not the first time, so I ask you to look into it.|I hope that we can find a fair solution."
    ),
    "cancel": (
        "I know that this comes at short notice.|I hope that it does not cause you too much trouble.|"
        "We can gladly look for another date.|Please let me know if there is anything you need from me."
    ),
}  # fmt: skip
_DETAILS = {
    "about": "The next step is planned {when}.|We will talk about it {when}.|You will hear more {when}.",
    "apology": "It will be settled {when}.|You will have a solution {when}.|We will put it right {when}.",
    "thanks": "I would like to thank you in person {when}.|Let us celebrate it {when}.|I hope to see you {when}.",
    "invite": "It takes place {when}.|We start {when}.|We meet {when}.",
    "remind": "It is due {when}.|Please keep in mind that it is {when}.|We need it {when}.",
    "ask": "It would help me to know more {when}.|I would need your answer {when}.|Could we talk about it {when}?",
    "complain": "I expect your answer {when}.|Please call me {when}.|I need a solution {when}.",
    "cancel": "Perhaps we can meet {when} instead.|A new date could be {when}.|I will call you {when}.",
}  # fmt: skip
_WISHES = {
    "about": "Please let me know what you think.|Please tell me if you have any questions.|I look forward to your answer.",
    "apology": "Thank you for your patience.|I hope you can forgive us.|Thank you for your understanding.",
    "thanks": "I hope we can work together again soon.|Thank you once again.|I am looking forward to seeing you soon.",
    "invite": "Please let me know if you can come.|We hope to see you there.|I look forward to your answer.",
    "remind": "Thank you for taking care of it.|Please let me know if you need more time.|Many thanks in advance.",
    "ask": "Thank you for your help.|Many thanks in advance.|I look forward to your answer.",
    "complain": "I look forward to your answer.|Please reply soon.|Thank you for looking into it.",
    "cancel": "Thank you for your understanding.|I am sorry for the trouble.|I hope to see you soon.",
}  # fmt: skip
_SUBJECTS = {
    "about": "About {topic}|Update on {topic}|News on {topic}", "apology": "Sorry about {topic}|Apology for {topic}",
    "thanks": "Thank you for {topic}|Many thanks for {topic}", "invite": "Invitation to {topic}|You are invited to {topic}",
    "remind": "Reminder of {topic}|Reminder: {topic}", "ask": "Question about {topic}|A question about {topic}",
    "complain": "Problem with {topic}|Complaint about {topic}", "cancel": "We have to cancel {topic}|Cancelling {topic}",
}  # fmt: skip
_REQUESTS = {
    "about": (
        "[Write/Draft/Compose/Please write] {kind} to {who} about {topic}{extra}{dot}",
        "{kind} to {who} about {topic}{extra}",
        "[I need/Can you write/Could you write/Help me write] {kind} [to/for] {who} about {topic}{extra}{dot}",
        "[Tell/Inform/Update] {who} by [e-mail/email] about {topic}{extra}{dot}",
        "[Write/write/Send] {who} {kind} on {topic}{extra}{dot}",
        "[Please draft/Could you draft/Make] {kind} [telling/updating] {who} about {topic}{extra}{dot}",
    ),
    "apology": (
        "[Write/Draft] {kind} to {who} apologising for {topic}{extra}{dot}",
        "[Write/Draft/Compose] an apology [e-mail/email] to {who} for {topic}{extra}{dot}",
        "[apology email/sorry email/apology mail] to {who} for {topic}{extra}",
        "[Apologise/Say sorry] to {who} for {topic} [by e-mail/in an email]{extra}{dot}",
    ),
    "thanks": (
        "[Write/Draft] {kind} to {who} [thanking them/to say thank you] for {topic}{extra}{dot}",
        "[Write/Compose] a thank-you [e-mail/email] to {who} for {topic}{extra}{dot}",
        "[thank you email/thanks email/thank-you mail] to {who} for {topic}{extra}",
        "Thank {who} for {topic} in [an e-mail/an email]{extra}{dot}",
    ),
    "invite": (
        "[Write/Draft] {kind} [inviting/that invites] {who} to {topic}{extra}{dot}",
        "[Write/Compose] an invitation [e-mail/email] to {who} for {topic}{extra}{dot}",
        "[invite/Invite] {who} to {topic}{extra}",
        "Please invite {who} to {topic} by [e-mail/email]{extra}{dot}",
    ),
    "remind": (
        "[Write/Draft] {kind} [reminding/to remind] {who} [of/about] {topic}{extra}{dot}",
        "[Write/Compose] a reminder [e-mail/email] to {who} about {topic}{extra}{dot}",
        "[Remind/remind] {who} [of/about] {topic}{extra}",
        "Send {who} a reminder about {topic}{extra}{dot}",
    ),
    "ask": (
        "[Write/Draft] {kind} [asking/to ask] {who} about {topic}{extra}{dot}",
        "[Ask/ask] {who} by [e-mail/email] about {topic}{extra}{dot}",
        "[Write/Compose] an [e-mail/email] with a question to {who} about {topic}{extra}{dot}",
        "I want to ask {who} about {topic} by [e-mail/email]{extra}{dot}",
    ),
    "complain": (
        "[Write/Draft] {kind} complaining to {who} about {topic}{extra}{dot}",
        "[Write/Compose] a complaint [e-mail/email] to {who} about {topic}{extra}{dot}",
        "[complaint/complaint email] to {who} about {topic}{extra}",
        "Complain to {who} about {topic} by [e-mail/email]{extra}{dot}",
    ),
    "cancel": (
        "[Write/Draft] {kind} to {who} cancelling {topic}{extra}{dot}",
        "[Cancel/cancel] {topic} in an [e-mail/email] to {who}{extra}{dot}",
        "[Write/Compose] a cancellation [e-mail/email] to {who} for {topic}{extra}{dot}",
        "Tell {who} by [e-mail/email] that I have to cancel {topic}{extra}{dot}",
    ),
}  # fmt: skip


def email(pen: Pen) -> Made:
    who, topic = pen.person(), pen.topic()
    purpose = pen.rng.choice(["about", "about", *_OPENINGS])
    tone = pen.rng.choice(["", "", *_TONES])
    sender = pen.first_name() if pen.chance(0.45) else ""
    reason = pen.reason() if pen.chance(0.3) else ""
    when = ""
    if pen.chance(0.45):
        when = pen.deadline() if purpose in ("remind", "ask", "complain") else pen.when()
    kind = (
        pen.say("[an email/an e-mail/a mail/an email]")
        if not tone
        else f"{with_article(tone)} {pen.say('[email/e-mail]')}"
    )
    extra = f" because {reason}" if reason else ""
    if when:
        extra += (
            pen.say(" {when}", ", {when}", ", [mention/mentioning] {when}", when=when)
            if not reason
            else f", {when}"
        )
    if sender:
        extra += pen.say(
            " from {s}",
            ", from {s}",
            ", signed by {s}",
            ". Sign as {s}",
            ". My name is {s}",
            ", sign it {s}",
            s=sender,
        )
    asked = pen.ask(
        *_REQUESTS[purpose], kind=kind, who=who, topic=topic, extra=extra, dot=pen.rng.choice((".", "", "."))
    )

    style = _TONES[tone]
    first = pen.say(*_OPENINGS[purpose].split("|"), topic=topic)
    hello = {
        "formal": "Dear {who},",
        "warm": "[Hi/Hello] {who},",
        "firm": "Dear {who},",
        "brief": "Hi {who},",
    }
    lines = [first[0].upper() + first[1:]]
    if reason:
        lines.append(pen.say("The reason is that {r}.", "The reason is simple: {r}.", r=reason))
    if style != "brief":
        lines.append(pen.say(*_MIDDLES[purpose].split("|")))
    if when:
        lines.append(pen.say(*_DETAILS[purpose].split("|"), when=when))
    if style == "warm":
        lines.append(
            pen.say("I hope you are doing well!", "I hope all is well with you!", "Have a lovely day!")
        )
    wish = pen.say(*_WISHES[purpose].split("|")) if style != "brief" else ""
    bye = {
        "formal": "Kind regards,|Yours sincerely,", "warm": "Warm wishes,|All the best,|Best wishes,",
        "firm": "Regards,", "brief": "Best,|Thanks,",
    }  # fmt: skip
    answer = "\n".join(
        part
        for part in (
            "Subject: " + pen.say(*_SUBJECTS[purpose].split("|"), topic=topic),
            "",
            pen.say(hello.get(style, "[Dear/Hello/Hi] {who},"), who=who),
            "",
            " ".join(lines),
            *(["", wish] if wish else []),
            "",
            pen.say(*bye.get(style, "Best regards,|Kind regards,|Best wishes,").split("|")),
            sender or "[Your name]",
        )
    )
    return asked, answer, tuple(f for f in (who, topic, reason, when, sender) if f)


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
    return asked, "\n".join(lines), (s, f"{count}. Conclusion", *([reader] if with_reader else []))


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
    features = [
        pen.say(f, p=pen.place(), n=pen.rng.randint(3, 12)) for f in pen.several(_FEATURES, n if told else 3)
    ]
    price = f"{pen.rng.randint(4, 299)} euros" if pen.chance(0.25) else ""
    who = pen.pick(_AUDIENCE) if pen.chance(0.3) else ""
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
    answer = "\n".join([title, "", lead, "", *bullets, "", close, *([f"Now for {price}."] if price else [])])
    facts = [
        thing,
        *([name] if name else []),
        *(features if told else []),
        *([price] if price else []),
        *([who] if who else []),
    ]
    return asked, answer, tuple(facts)


_AUDIENCE = [
    "students", "families", "travellers", "small offices", "tea lovers", "gardeners", "beginners",
    "children", "night owls", "runners", "artists", "cooks",
]  # fmt: skip


def summary(pen: Pen) -> Made:
    passage, short, facts = pen.rng.choice((_opening, _event, _study, _change))(pen)
    asked = pen.ask(
        "[Summarise/Summarize/Sum up] [this/this text/the following text/this passage][:/ in one sentence:] {p}",
        "[Summarise/Summarize] [in one sentence/briefly]: {p}",
        "{p}\n\n[Summarise/Summarize/Sum up] [this/the text][./ in one sentence./ briefly.]",
        "[summary/short summary/tl;dr]: {p}",
        "[Give me/Write] a [short/one-sentence] summary of this: {p}",
        p=passage,
    )
    return asked, short, facts


def _opening(pen: Pen) -> tuple[str, str, tuple[str, ...]]:
    who, place, thing = (
        pen.person(),
        pen.place(),
        pen.say(
            "{a} {b}", a=pen.pick(_KINDS), b=pen.rng.choice(("shop", "café", "school", "studio", "workshop"))
        ),
    )
    when, staff, count = (
        f"{pen.rng.choice(MONTHS)} {pen.rng.randint(1990, 2030)}",
        pen.rng.randint(2, 90),
        pen.rng.randint(100, 9000),
    )
    filler = pen.say(*_FILLERS)
    passage = pen.say(
        "{who} opened {a} in {place} in {when}. {filler} Today {staff} people work there. In the first year it had {count} customers.",
        "In {when}, {who} opened {a} in {place}. It has {staff} employees. {filler} More than {count} customers came in the first year.",
        "{a2} opened in {place} in {when}. It belongs to {who}, who employs {staff} people. {filler} So far {count} customers have come.",
        who=who, place=place, a=with_article(thing), a2=with_article(thing).capitalize(), when=when, staff=staff, count=count, filler=filler,
    )  # fmt: skip
    short = pen.say(
        "{who} opened {a} in {place} in {when}; it has {staff} employees and had {count} customers.",
        who=who, a=with_article(thing), place=place, when=when, staff=staff, count=count,
    )  # fmt: skip
    return passage, short, (who, thing, place, when, str(staff), str(count))


def _event(pen: Pen) -> tuple[str, str, tuple[str, ...]]:
    event, place, when = (
        pen.say(
            "{a} {b}", a=pen.pick(_KINDS), b=pen.rng.choice(("festival", "fair", "contest", "market", "day"))
        ),
        pen.place(),
        pen.when(),
    )
    guests, best = pen.rng.randint(20, 5000), pen.person()
    filler = pen.say(*_FILLERS)
    passage = pen.say(
        "The {e} in {p} took place {w}. {f} About {g} people came. The first prize went to {b}.",
        "{g} people came to the {e} in {p} {w}. {f} {b} won the first prize.",
        "The {e} was held in {p} {w}. {b} won the first prize. {f} There were {g} visitors.",
        e=event, p=place, w=when, g=guests, b=best, f=filler,
    )  # fmt: skip
    short = pen.say(
        "{g} people came to the {e} in {p} {w}, and {b} won the first prize.",
        e=event,
        p=place,
        w=when,
        g=guests,
        b=best,
    )
    return passage, short, (event, place, when, str(guests), best)


def _study(pen: Pen) -> tuple[str, str, tuple[str, ...]]:
    place, hobby, share, people = (
        pen.place(),
        pen.pick(HOBBIES),
        pen.rng.randint(11, 94),
        pen.rng.randint(50, 9000),
    )
    why = pen.say(
        "it helps them to relax",
        "it is cheap",
        "they meet friends there",
        "it keeps them healthy",
        "they learn something new",
    )
    filler = pen.say(*_FILLERS)
    passage = pen.say(
        "Researchers in {p} asked {n} people about {h}. {f} {s} percent said that they like it because {w}.",
        "A study from {p} looked at {h}. {n} people took part. {f} The result: {s} percent like it because {w}.",
        "How popular is {h}? A team in {p} asked {n} people. {s} percent like it because {w}. {f}",
        p=place, n=people, h=hobby, s=share, w=why, f=filler,
    )  # fmt: skip
    short = pen.say(
        "A study in {p} with {n} people found that {s} percent like {h} because {w}.",
        p=place,
        n=people,
        h=hobby,
        s=share,
        w=why,
    )
    return passage, short, (place, hobby, str(share), str(people), why)


def _change(pen: Pen) -> tuple[str, str, tuple[str, ...]]:
    topic, reason, when, who = pen.topic(), pen.reason(), pen.when(), pen.person()
    filler = pen.say(*_FILLERS)
    passage = pen.say(
        "There is news about {t}. {f} It will be finished {w}, later than planned, because {r}. {who} is in charge.",
        "{who} is responsible for {t}. Because {r}, it will be finished later, {w}. {f}",
        "The plan for {t} has changed because {r}. {f} The new date is {w}. Please ask {who} if you have questions.",
        t=topic, r=reason, w=when, who=who, f=filler,
    )  # fmt: skip
    short = pen.say(
        "The work on {t} is delayed because {r}; it will be finished {w}, and {who} is in charge.",
        t=topic,
        r=reason,
        w=when,
        who=who,
    )
    return passage, short, (topic, reason, when, who)


_KINDS = [
    "flower", "book", "bread", "wine", "music", "dance", "bicycle", "cheese", "film", "garden", "tea", "toy",
    "kite", "pottery", "chess", "fish", "apple", "jazz", "cooking", "craft",
]  # fmt: skip
_FILLERS = (
    "The weather was fine.", "Many people were surprised.", "The local paper wrote about it.", "It had taken years to prepare.",
    "Nobody had expected this.", "There was music and cake.", "Some neighbours were not happy at first.", "The mayor was pleased.",
    "It was a long discussion.", "Everyone is curious about what comes next.",
)  # fmt: skip

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
        n=n, form=form, af=with_article(form), s=s, dot=pen.rng.choice((".", "")),
    )  # fmt: skip
    chosen = pen.rng.sample(_TITLES, count)
    answer = "\n".join(f"{i}. {pen.say(t, s=s)}" for i, t in enumerate(chosen, 1))
    return asked, answer, (s, f"{count}. ")


__all__ = ["FIRST_NAMES", "Made", "email", "product", "report", "summary", "titles"]
