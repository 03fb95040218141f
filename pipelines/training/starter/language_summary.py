"""Summaries for the text corpus: a short made-up passage with names, places and numbers, and one sentence that keeps them."""

from pipelines.training.starter.language_words import I_NEED, MAKE, MONTHS, Made, Pen, with_article


def summary(pen: Pen) -> Made:
    passage, short, facts = pen.rng.choice((_opening, _event, _study, _change))(pen)
    asked = pen.ask(
        "[Summarise/Summarize/Sum up] [this/this text/the following text/this passage][:/ in one sentence:] {p}",
        "[Summarise/Summarize] [in one sentence/briefly]: {p}",
        "{p}\n\n[Summarise/Summarize/Sum up] [this/the text][./ in one sentence./ briefly.]",
        "[summary/short summary/tl;dr]: {p}",
        "[Give me/Write] a [short/one-sentence] summary of this: {p}",
        more=(
            MAKE
            + " [a/one] [brief/quick/very short/short/one-sentence] summary [of/for] [the text/the following/this text/this passage/the following passage]: {p}",
            MAKE + " [a/the] [summary/short version/gist] of [this/the text/this text]: {p}",
            I_NEED
            + " a [summary/short summary/brief summary/short version] of [this/the following/this text]: {p}",
            "[In one sentence/Briefly/In short/In a few words][:/, what does this say?/, what happened here?] {p}",
            "What is [this/this text/the following] about[?/ in one sentence?] {p}",
            "[Shorten/Condense/Boil down/Compress/Reduce] [this/this text/this to one sentence/the following][:/ please:] {p}",
            "{p}\n\n[In one sentence?/tl;dr/Make it short./What does it say?/Shorten this./Short summary, please./A summary in one sentence, please.]",
            "[Say/Tell me] in one sentence what [this says/this is about/happened/the text says]: {p}",
            "Read this and [summarise it/sum it up/give me the main point/tell me in one sentence what it says]: {p}",
            "{p}\n\n" + MAKE + " a [summary/short summary/one-sentence summary]{dot}",
        ),
        dot=pen.rng.choice((".", "")) if not pen.held_out else "",
        p=passage,
    )
    return asked, short, facts


def _opening(pen: Pen) -> tuple[str, str, tuple[str, ...]]:
    who, place, thing = (
        pen.person(),
        pen.place(),
        pen.say(
            "{a} {b}",
            a=pen.pick(_KINDS, pen.noun),
            b=pen.rng.choice(("shop", "café", "school", "studio", "workshop")),
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
            "{a} {b}",
            a=pen.pick(_KINDS, pen.noun),
            b=pen.rng.choice(("festival", "fair", "contest", "market", "day")),
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
        pen.hobby(),
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
