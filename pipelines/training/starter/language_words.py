"""Names, things and topics for the text corpus, and a small language for writing varied sentences.

A model of a few million parameters must learn to copy what it is told instead of remembering a list. So a good part
of the names and nouns is made up on the spot, and a slice of every list is kept for evaluation only.
"""

import random
import re
from collections.abc import Callable, Sequence
from functools import cache

Made = tuple[str, str, tuple[str, ...]]  # instruction, answer, facts the answer must carry

_CHOICE = re.compile(r"\[([^\[\]]*)\]")

FIRST_NAMES = [
    "Anna", "Ben", "Clara", "David", "Elena", "Felix", "Grace", "Hugo", "Ines", "Jonas", "Karin", "Leo",
    "Maria", "Nils", "Olga", "Paul", "Rosa", "Samir", "Tara", "Umar", "Vera", "Walter", "Yuki", "Zoe",
    "Aisha", "Boris", "Carmen", "Daniel", "Emma", "Farid", "Gina", "Hana", "Ivan", "Julia", "Kofi", "Lena",
    "Marco", "Nadia", "Oscar", "Priya", "Rafael", "Sofia", "Tom", "Ulla", "Victor", "Wanda", "Xenia",
    "Yusuf", "Amir", "Bella", "Chen", "Dora", "Erik", "Fatima", "Georg", "Helen", "Igor", "Jana", "Kenji",
    "Laura", "Mateo", "Nora", "Omar", "Petra", "Quinn", "Ruth", "Stefan", "Tina", "Uwe", "Viola", "Will",
    "Yara", "Adam", "Bianca", "Carl", "Diana", "Elias", "Fiona", "Greta", "Henry", "Isabel", "Jack", "Kira",
    "Lucas", "Mona", "Noah", "Otto", "Pia", "Robin", "Sara", "Theo", "Alice", "Bruno", "Cora", "Dmitri",
    "Esther", "Frank", "Gloria", "Hassan", "Iris", "James", "Kate", "Liam", "Mira", "Nina", "Oliver",
    "Philip", "Rita", "Simon", "Teresa", "Sam", "Mark", "Lisa", "John", "Peter", "Max", "Eva", "Jane",
    "Mary", "Alex",
]  # fmt: skip
LAST_NAMES = [
    "Okoro", "Berg", "Tanaka", "Rossi", "Novak", "Silva", "Weber", "Haddad", "Moreau", "Larsen", "Kaya",
    "Ortiz", "Brandt", "Fischer", "Costa", "Lind", "Patel", "Nguyen", "Keller", "Murphy", "Santos", "Young",
    "Varga", "Meyer", "Dubois", "Petrov", "Adams", "Clarke", "Hughes", "Sato", "Lopez", "Winter", "Stone",
    "Baker", "Miller",
]  # fmt: skip
PLACES = [
    "Berlin", "Leeds", "Porto", "Oslo", "Kyoto", "Lima", "Ghent", "Turin", "Cork", "Graz", "Lyon", "Malmo",
    "Split", "Bristol", "Boston", "Denver", "Perth", "Nairobi", "Cairo", "Lagos", "Delhi", "Seoul", "Hanoi",
    "Quito", "Madrid", "Vienna", "Prague", "Riga", "Basel", "Bergen", "Hamburg", "Dublin", "Austin",
    "Toronto", "Paris", "London", "Rome", "Athens", "Lisbon", "Chicago", "Sydney", "Dakar", "Tunis", "Bath",
    "York", "Zurich", "Geneva", "Milan", "Seville", "Krakow",
]  # fmt: skip
NOUNS = [
    "delivery", "invoice", "budget", "meeting", "report", "website", "contract", "printer", "project",
    "schedule", "order", "workshop", "training", "presentation", "newsletter", "garden", "kitchen", "heater",
    "bicycle", "laptop", "survey", "audit", "parking", "office", "warehouse", "catalogue", "conference",
    "brochure", "elevator", "server", "backup", "password", "roof", "window", "contest", "festival",
    "concert", "exhibition", "library", "museum", "playground", "fence", "bridge", "river", "harbour",
    "market", "bakery", "coffee", "tea", "bread", "soup", "honey", "cheese", "recipe", "menu", "camera",
    "lamp", "chair", "table", "sofa", "carpet", "curtain", "mirror", "clock", "piano", "guitar", "violin",
    "choir", "theatre", "film", "podcast", "novel", "poem", "diary", "map", "journey", "holiday", "hike",
    "camping", "train", "bus", "ferry", "airport", "hotel", "ticket", "passport", "luggage", "insurance",
    "tax", "salary", "holiday", "calendar", "deadline", "launch", "prototype", "design", "logo", "poster",
    "banner", "app", "database", "network", "robot", "sensor", "battery", "engine", "solar-panel",
    "windmill", "forest", "lake", "mountain", "island", "beach", "desert", "storm", "snow", "winter",
    "summer", "spring", "autumn", "puppy", "kitten", "parrot", "horse", "goat", "turtle", "owl", "fox",
    "rabbit", "beehive", "greenhouse", "compost", "tomato", "pumpkin", "apple", "cherry", "football",
    "tennis", "chess", "running", "yoga", "swimming", "climbing", "sailing", "painting", "pottery",
    "knitting", "drawing", "photography", "school", "exam", "lesson", "homework", "teacher", "class",
    "language", "history", "science", "mathematics", "music", "dance", "neighbour", "family", "birthday",
    "wedding", "anniversary", "reunion", "picnic", "barbecue", "breakfast", "dinner", "party", "surprise",
    "gift", "letter", "parcel", "key", "door", "stairs", "cellar", "attic", "balcony", "lawn", "hedge",
    "pond", "fountain", "statue", "lighthouse", "castle", "tower", "tunnel", "road", "traffic",
]  # fmt: skip
ADJECTIVES = [
    "new", "old", "late", "early", "broken", "missing", "urgent", "small", "big", "annual", "weekly",
    "monthly", "final", "first", "second", "next", "last", "shared", "local", "summer", "winter", "green",
    "blue", "red", "quiet", "noisy", "digital", "wooden", "free", "cheap", "expensive", "simple", "secret",
    "lost", "open", "yearly", "daily", "revised", "updated", "planned", "cancelled", "delayed", "improved",
    "unpaid", "damaged", "extra", "special", "public", "private",
]  # fmt: skip
GERUNDS = [
    "writing", "reading", "watching", "building", "cooking", "leaving", "finding", "choosing", "comparing",
    "using", "making", "training", "keeping", "fixing", "losing", "growing", "wearing", "collecting",
    "booking", "preparing", "finishing", "moving", "cleaning", "repairing", "planning", "painting", "buying",
    "selling", "testing", "changing", "closing", "opening", "renting", "sharing", "saving", "organising",
    "learning", "improving", "ordering", "checking", "protecting", "measuring",
]  # fmt: skip
GROUPS = [
    "the team", "the customers", "new colleagues", "the whole family", "beginners", "children", "students",
    "visitors", "the neighbours", "our partners", "the board", "volunteers", "parents", "small companies",
    "the club", "travellers", "seniors",
]  # fmt: skip
STATES = [
    "broken", "late", "sold out", "too small", "closed", "damaged", "not ready", "fully booked",
    "too expensive", "missing", "overloaded",
]  # fmt: skip
HOBBIES = [
    "hiking", "baking", "chess", "jazz", "old maps", "gardening", "cycling", "football", "knitting",
    "photography", "sailing", "board games", "cats", "dogs", "astronomy", "pottery", "tea", "crime novels",
    "running", "swimming", "painting", "birds", "trains", "cooking", "dancing", "puzzles", "surfing", "yoga",
    "skiing", "climbing", "classical music", "fishing", "coffee", "travelling", "science fiction", "drawing",
    "tennis", "camping",
]  # fmt: skip
DAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]
MONTHS = [
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October",
    "November", "December",
]  # fmt: skip
NUMBER_WORDS = {2: "two", 3: "three", 4: "four", 5: "five", 6: "six", 7: "seven", 8: "eight"}

# Common words that stand in no list above: what people really write about, so their letters must be copied too.
MORE_WORDS = [
    "access", "account", "advice", "agency", "album", "alarm", "answer", "area", "argument", "army",
    "arrival", "article", "artist", "aspect", "attempt", "author", "average", "award", "baby", "background",
    "balance", "band", "basket", "bath", "battle", "beauty", "beer", "benefit", "bill", "block", "board",
    "body", "bone", "border", "boss", "bottle", "bowl", "box", "brain", "branch", "brand", "breath", "brick",
    "brother", "brush", "building", "burger", "button", "cabin", "cable", "cake", "campaign", "candle",
    "capital", "career", "cargo", "cartoon", "cash", "cause", "ceiling", "century", "chain", "challenge",
    "channel", "chapter", "charity", "chicken", "childhood", "choice", "church", "circus", "citizen",
    "client", "climate", "cloth", "coach", "coast", "code", "collection", "college", "comedy", "comfort",
    "comment", "community", "company", "complaint", "computer", "concept", "condition", "copy", "corner",
    "cost", "cotton", "country", "couple", "courage", "course", "cousin", "cover", "cream", "creature",
    "crew", "crisis", "crowd", "culture", "cup", "customer", "cycle", "damage", "danger", "data", "dealer",
    "debate", "decision", "degree", "dentist", "department", "deposit", "detail", "device", "diet",
    "dinosaur", "direction", "disaster", "discount", "discovery", "disk", "distance", "doctor", "document",
    "donation", "doubt", "dragon", "dream", "dress", "drink", "driver", "drum", "duty", "ear", "earth",
    "economy", "edge", "education", "effect", "effort", "egg", "electricity", "emotion", "energy",
    "entrance", "error", "essay", "event", "evidence", "example", "exchange", "excuse", "exercise",
    "experience", "expert", "extension", "face", "factory", "failure", "farm", "fashion", "father", "fear",
    "feature", "fee", "feedback", "festival", "fever", "fiction", "field", "figure", "fire", "fish", "flag",
    "flight", "flower", "food", "forecast", "formula", "friend", "fruit", "fuel", "fun", "function",
    "funeral", "furniture", "future", "galaxy", "game", "gang", "gate", "ghost", "girl", "glass", "goal",
    "gold", "government", "grandmother", "grass", "group", "growth", "guess", "guest", "guide", "gun",
    "habit", "hair", "hand", "happiness", "hat", "health", "heart", "heat", "height", "help", "hero",
    "hobby", "home", "honour", "hope", "hospital", "host", "hour", "house", "humour", "hunger", "ice",
    "idea", "identity", "illness", "image", "income", "industry", "injury", "insect", "inspection",
    "interview", "invention", "iron", "item", "jacket", "jam", "job", "joke", "journal", "judge", "juice",
    "jungle", "jury", "justice", "kingdom", "kiss", "knee", "knife", "knowledge", "label", "labour", "lady",
    "landscape", "law", "leader", "leaf", "leather", "lecture", "leg", "lemon", "level", "licence", "life",
    "light", "line", "lion", "liquid", "list", "load", "loan", "lock", "loss", "love", "luck", "lunch",
    "machine", "magazine", "magic", "mail", "maintenance", "manager", "manual", "marriage", "mask", "match",
    "material", "meal", "measure", "meat", "medicine", "member", "memory", "metal", "method", "middle",
    "milk", "mind", "mineral", "minute", "mission", "mistake", "mixture", "model", "moment", "money",
    "monster", "mood", "moon", "mother", "motor", "mouth", "movement", "movie", "mud", "murder", "muscle",
    "mystery", "nail", "nation", "nature", "needle", "nerve", "newspaper", "night", "noise", "nose", "note",
    "nurse", "ocean", "offer", "oil", "onion", "opera", "opinion", "orange", "orchestra", "outcome", "owner",
    "oxygen", "package", "page", "pain", "pair", "panel", "paper", "parade", "parent", "park", "partner",
    "passenger", "patient", "payment", "peace", "pepper", "period", "permit", "person", "phone", "photo",
    "phrase", "pie", "pilot", "pipe", "pirate", "planet", "plant", "plastic", "plate", "player", "pleasure",
    "pocket", "police", "policy", "pollution", "pool", "position", "potato", "power", "practice", "present",
    "pressure", "price", "pride", "prince", "prison", "prize", "problem", "process", "product", "profit",
    "promise", "proof", "proposal", "protest", "public", "pump", "purpose", "quality", "quarter", "question",
    "race", "radio", "rain", "reason", "refund", "region", "relationship", "rent", "reply", "request",
    "rescue", "research", "resource", "response", "result", "reward", "rhythm", "rice", "ring", "risk",
    "ritual", "rock", "role", "room", "rope", "rose", "rule", "sand", "sauce", "scale", "scene", "screen",
    "sea", "season", "seat", "section", "security", "service", "shadow", "shape", "share", "shelf", "shell",
    "ship", "shirt", "shock", "shoe", "shop", "shower", "sign", "signal", "silence", "silver", "singer",
    "sister", "site", "skill", "skin", "sky", "sleep", "smell", "smile", "smoke", "snack", "soap", "society",
    "software", "soil", "soldier", "solution", "song", "soul", "sound", "space", "speech", "speed", "spirit",
    "sport", "square", "stadium", "staff", "stage", "station", "steak", "steel", "stomach", "stone", "store",
    "story", "strategy", "stream", "street", "stress", "strike", "student", "studio", "style", "success",
    "sugar", "suit", "sun", "supply", "support", "surgery", "system", "tail", "talent", "target", "taste",
    "teaching", "team", "technology", "temperature", "temple", "test", "text", "thing", "thought", "thread",
    "throat", "thumb", "tiger", "tile", "title", "toilet", "tongue", "tooth", "topic", "tourist", "toy",
    "trade", "tradition", "translation", "travel", "treatment", "tree", "trial", "trip", "trouble", "truck",
    "trust", "truth", "twin", "uncle", "uniform", "union", "unit", "universe", "update", "vacation",
    "valley", "value", "vegetable", "vehicle", "version", "village", "virus", "vision", "visitor", "voice",
    "volume", "vote", "wall", "war", "warning", "watch", "water", "wave", "weather", "week", "weight",
    "wheel", "wife", "wind", "wine", "wing", "winner", "wire", "witness", "woman", "wood", "word", "work",
    "worker", "writer", "yard", "year", "youth", "zone",
]  # fmt: skip

_ONSETS = [
    "b", "br", "c", "ch", "d", "dr", "f", "fl", "g", "gr", "h", "j", "k", "kl", "l", "m", "n", "p", "pr",
    "qu", "r", "s", "st", "t", "tr", "v", "w", "z", "th", "sh",
]  # fmt: skip
_VOWELS = ["a", "e", "i", "o", "u", "ai", "ea", "ee", "ia", "io", "oa", "ou"]
_CODAS = ["", "", "", "n", "l", "r", "s", "m", "x", "nd", "rt", "ck", "th"]
# Training sees a wider mix of made-up words than evaluation, longer ones among them: whoever copies these copies any.
_MORE_ONSETS = [
    *_ONSETS,
    "",
    "",
    "bl",
    "cl",
    "cr",
    "gl",
    "pl",
    "sc",
    "sk",
    "sl",
    "sn",
    "sp",
    "sw",
    "y",
    "wh",
    "ph",
    "x",
]
_MORE_VOWELS = [*_VOWELS, "a", "e", "i", "o", "u", "y", "ae", "au", "ei", "ie", "oo"]
_MORE_CODAS = [*_CODAS, "t", "d", "p", "g", "b", "k", "ng", "st", "lt", "sk", "mp", "ss", "ff", "sh", "ch"]
_ENDINGS = {
    "noun": ["", "", "er", "ing", "ion", "ity", "ment", "ness", "ette", "ist", "ist", "ism", "age", "ure", "ance", "ship"],
    "adjective": ["y", "al", "ous", "ic", "ed", "able", "ive", "less", "ful", "ish", "ant"],
    "gerund": ["ing"],
    "name": ["", "", "", "a", "o", "ia", "us", "in", "ley", "son", "ski", "ez", "berg", "mann", "ini", "ette", "a"],
}  # fmt: skip
_NOVEL = 0.3
"""How often training takes something made up where a list would do."""

# Openers for instructions that training varies; `Pen.say` picks one of the choices in brackets.
MAKE = (
    "[Write/Write me/Write/Make/Create/Draft/Compose/Craft/Invent/Think of/Think up/Come up with/Give me/Get me/"
    "Suggest/Propose/Find/Find me/Prepare/Produce/Generate/Design/Do/Put together/Show me/Plan/Formulate/Send me]"
)
I_NEED = (
    "[I need/I want/I'd like/I would like/I could use/We need/We want/Can I have/Can I get/Could I have/"
    "I am looking for/Looking for/Help me with/May I have/Please give me/Need/Please make me/Please find]"
)
_FRAMES = [
    "Please {x}", "please {x}", "{x}, please", "{x} please", "Could you {x}?", "Can you {x}?", "Would you {x}?",
    "could you please {x}", "Could you please {x}?", "Can you please {x}?", "I want you to {x}", "I need you to {x}",
    "I'd like you to {x}", "Help me: {x}", "Help me to {x}", "{x}. Thanks!", "{x}. Thank you!", "Kindly {x}", "Hi! {x}",
    "Hello, {x}", "Now {x}", "Next, {x}", "Quick: {x}", "Let us {x}", "Task: {x}", "Will you {x}?", "Hey, {x}", "Just {x}",
    "I have to {x}", "I must {x}", "Be so kind and {x}", "Would you mind helping me to {x}?", "Today I want to {x}",
]  # fmt: skip
"""Politeness around an instruction that begins with a verb."""
_VERBS = {
    "write", "make", "create", "draft", "compose", "craft", "invent", "think", "come", "give", "get",
    "suggest", "propose", "find", "prepare", "produce", "generate", "design", "do", "put", "show", "plan",
    "formulate", "send", "tell", "begin", "start", "open", "describe", "advertise", "promote", "present",
    "summarise", "summarize", "sum", "shorten", "condense", "say", "improve", "enrich", "extend", "polish",
    "expand", "refine", "outline", "structure", "organise", "sketch", "apologise", "thank", "invite",
    "remind", "ask", "complain", "cancel", "inform", "update", "email", "mail", "let", "turn", "caption",
    "rhyme", "praise", "read", "compress", "answer", "reply", "respond",
}  # fmt: skip
"""First words of instructions that `_FRAMES` fit."""


@cache
def _form(phrasing: str) -> re.Pattern[str]:
    """What an instruction made from `phrasing` looks like, whatever its facts and whatever stands around it."""

    def words(text: str) -> str:
        return re.sub(r"\\{\w+\\}", ".*", re.escape(text))

    parts = _CHOICE.split(phrasing.rstrip("."))  # every other one is a choice
    form = "".join(
        f"(?:{'|'.join(map(words, part.split('/')))})" if place % 2 else words(part)
        for place, part in enumerate(parts)
    )
    return re.compile(form, re.IGNORECASE | re.DOTALL)


class Pen:
    """Where a generator takes its facts from: one random source, and the training or the held-out half of each list."""

    def __init__(self, rng: random.Random, held_out: bool = False, pieces: Sequence[str] = ()) -> None:
        """pieces: the tokenizer's own word pieces; training coins words from them as well.

        A token that never stood in an answer is never copied either (measured: 505 of 2048 had not, and with them failed
        "leaving", "Saturday", "moving"), whatever word it is part of.
        """
        self.rng = rng
        self.held_out = held_out
        self.pieces = pieces

    def pick(self, options: Sequence[str], novel: Callable[[], str] | None = None) -> str:
        """A name or thing: every eighth entry of the list is kept for evaluation. novel: what training takes at times instead."""
        if novel is not None and self.training_does(_NOVEL):
            return novel()
        pool = [word for place, word in enumerate(options) if (place % 8 == 5) == self.held_out]
        return self.rng.choice(pool or list(options))

    def ask(self, *phrasings: str, more: Sequence[str] = (), **facts: object) -> str:
        """An instruction, filled in: the last phrasing is kept for evaluation, `more` is for training alone.

        Training also puts politeness around it, and draws again where the result has the form of the phrasing that is kept.
        """
        if self.held_out:
            return self.say(phrasings[-1], **facts)
        while True:
            pool = more if more and self.chance(0.65) else phrasings[:-1]
            asked = self.say(*pool, **facts)
            if self.chance(0.3):
                asked = self.politely(asked)
            if not _form(phrasings[-1]).search(asked):
                return asked

    def politely(self, asked: str) -> str:
        """With a courtesy around it, where it begins with a verb; a long one gets it in front only."""
        if asked.split(" ", 1)[0].lower().rstrip(":,") not in _VERBS:
            return asked
        core = asked[0].lower() + asked[1:]
        short = "\n" not in asked and asked[-1] != "?"
        frames = [f for f in _FRAMES if f.endswith("{x}") or (short and len(asked) < 150)]
        return self.rng.choice(frames).format(x=core.rstrip(".") if short else core)

    def training_does(self, probability: float) -> bool:
        """Chance in training; never, and nothing drawn, in evaluation."""
        return not self.held_out and self.chance(probability)

    def say(self, *sentences: str, **facts: object) -> str:
        """One of the sentences; `[a/b/]` inside it is a choice, `{fact}` is filled in afterwards."""
        text = self.rng.choice(sentences)
        while match := _CHOICE.search(text):
            text = text[: match.start()] + self.rng.choice(match.group(1).split("/")) + text[match.end() :]
        return text.format(**facts)

    def chance(self, probability: float) -> bool:
        return self.rng.random() < probability

    # --- facts ---------------------------------------------------------------------------------------------------

    def made_up(self, syllables: int | None = None) -> str:
        """A word nobody has seen: it can only be copied."""
        if self.training_does(0.7):
            return self.coined("noun" if syllables else "name", syllables)
        parts = syllables or self.rng.choice((2, 2, 3))
        rng = self.rng
        word = "".join(rng.choice(_ONSETS) + rng.choice(_VOWELS) + rng.choice(_CODAS) for _ in range(parts))
        return word[:11]

    def coined(self, kind: str, syllables: int | None = None) -> str:
        """Like `made_up`, of one to four syllables and with the ending of a noun, an adjective, a gerund or a name."""
        rng = self.rng
        parts = syllables or rng.choice((1, 2, 2, 2, 3, 3, 4))
        if self.pieces and rng.random() < 0.6:
            word = "".join(rng.choice(self.pieces) for _ in range(rng.choice((1, 2, 2))))[:14]
            if word.lower() not in kept_words():
                return word
        sounds = (_MORE_ONSETS, _MORE_VOWELS, _MORE_CODAS)
        said = ["".join(rng.choice(sound) for sound in sounds) for _ in range(parts)]
        if (
            parts > 1 and rng.random() < 0.15
        ):  # the same sound again, where copying likes to go round in a circle
            said.insert(rng.randrange(len(said) + 1), rng.choice(said))
        word = "".join(said)[:12]
        return word + rng.choice(_ENDINGS[kind])

    def first_name(self) -> str:
        if self.training_does(0.08):  # as people write it: Anna-Lena, O'Brien, McCoy
            return self.say("{a}-{b}", "O'{a}", "Mc{a}", "{a} {b}", a=self.coined("name", 1).capitalize(), b=self.pick(FIRST_NAMES, self.made_up).capitalize())  # fmt: skip
        return self.made_up().capitalize() if self.chance(0.4) else self.pick(FIRST_NAMES)

    def person(self) -> str:
        """How someone is addressed: mostly a first name, sometimes a title and a family name."""
        last = self.made_up().capitalize() if self.chance(0.4) else self.pick(LAST_NAMES)
        roll = self.rng.random()
        if roll < 0.12:
            return f"{self.rng.choice(('Mr', 'Ms', 'Dr', 'Mrs'))} {last}"
        if self.training_does(0.12):
            return self.say("{f} {l}", "Professor {l}", "{f} and {l}", "{l}", f=self.first_name(), l=last)
        return f"{self.first_name()} {last}" if roll < 0.2 else self.first_name()

    def brand(self) -> str:
        """The name of a product, firm or project."""
        name = self.made_up().capitalize()
        if self.training_does(0.15):
            return self.say("{a} {b}", "{a} & {b}", "{a}{b2}", "{a} {n}", "The {c} {d}", "{d} {c}", a=name, b=self.first_name(), b2=self.coined("name", 1), n=self.rng.randint(2, 9999), c=self.noun().title(), d=self.adjective().title())  # fmt: skip
        roll = self.rng.random()
        if roll < 0.2:
            return f"{name} {self.rng.choice(('One', 'Plus', 'Go', 'Pro', 'Mini', 'Home', '2', '3', '500'))}"
        if roll < 0.35:
            return f"{self.pick(ADJECTIVES).capitalize()} {self.pick(NOUNS).capitalize()}"
        return name

    def place(self) -> str:
        return self.made_up().capitalize() if self.chance(0.35) else self.pick(PLACES)

    def noun(self) -> str:
        if self.training_does(0.25):
            return self.say(
                "{a}",
                "{a}",
                "{a}",
                "{b} {a}",
                "{a} {b}",
                a=self.coined("noun"),
                b=self.rng.choice(MORE_WORDS),
            )
        roll = self.rng.random()
        if roll < 0.15:
            return self.made_up(2)
        return self.pick(MORE_WORDS if roll < 0.55 else NOUNS).replace("-", " ")

    def adjective(self) -> str:
        return self.pick(ADJECTIVES, lambda: self.coined("adjective"))

    def gerund(self) -> str:
        return self.pick(GERUNDS, lambda: self.coined("gerund"))

    def hobby(self) -> str:
        return self.pick(HOBBIES, lambda: self.say("{g}", "{n}s", "{n}", "{a} {n}s", "{g} {n}s", g=self.gerund(), n=self.noun(), a=self.adjective()))  # fmt: skip

    def group(self) -> str:
        return self.pick(GROUPS, lambda: self.say("[the/our/] {n}s", "{a} {n}s", "{n} [lovers/fans/owners]", n=self.noun(), a=self.adjective()).strip())  # fmt: skip

    def state(self) -> str:
        return self.pick(STATES, lambda: self.say("{a}", "too {a}", "not {a}", "[in/from/at] {p}", a=self.adjective(), p=self.place()))  # fmt: skip

    def topic(self) -> str:
        """What a text is about: "the late delivery", "moving the office to Leeds", "invoice 4821"."""
        noun, adjective = self.noun(), self.adjective()
        if self.training_does(0.2):
            return self.say(
                "[the/our/my/a] {noun} [with/for/of/from] {who}", "the {noun} of [the/our/my/a] {other}", "[his/her/their/your] {noun}", "[his/her/your] {noun} [with/on/in] the {other}",
                "the {noun} with the {other}", "{who}'s {noun}",
"[the/our] {adjective} {noun} [in/from] {place}", "the {noun} and the {other}",
                "{gerund} the {adjective} {noun}", "[the/our] {n} {noun}s", "the {noun} of {date} {month}", "[room/flight/bill/contract/case] {n}",
                noun=noun, adjective=adjective, who=self.first_name(), place=self.place(), other=self.noun(), gerund=self.gerund(),
                n=self.rng.randint(2, 99999), date=self.rng.randint(1, 30), month=self.pick(MONTHS),
            )  # fmt: skip
        return self.say(
            "[the/our/my/the] {noun}",
            "[the/our/a/my] {adjective} {noun}",
            "[the/our] {noun} [in/from] {place}",
            "the {noun} for {group}",
            "{gerund} [the/our/a] {noun}",
            "{gerund} the {noun} in {place}",
            "{adjective} {noun}",
            "{noun} and {other}",
            "[project/invoice/order/ticket] {number}",
            "the {brand} project",
            noun=noun,
            adjective=adjective,
            place=self.place(),
            group=self.group(),
            gerund=self.gerund(),
            other=self.noun(),
            number=self.rng.randint(11, 9999),
            brand=self.made_up().capitalize(),
        )

    def subject(self) -> str:
        """A broad theme for titles, reports and poems: "winter gardening", "old clocks", "tea"."""
        return self.say(
            "{noun}",
            "{noun}s",
            "{adjective} {noun}s",
            "the {adjective} {noun}",
            "a {noun}",
            "{adjective} {noun}",
            "{hobby}",
            "{gerund} [a/the] {noun}",
            "{noun} and {other}",
            "{hobby} in {place}",
            "{hobby} for {group}",
            "the {noun}",
            noun=self.noun(),
            other=self.noun(),
            adjective=self.adjective(),
            hobby=self.hobby(),
            gerund=self.gerund(),
            place=self.place(),
            group=self.group(),
        )

    def when(self) -> str:
        """A time to carry over: "on Friday at 18:00", "on 12 May"."""
        if self.training_does(0.15):
            return self.say("at {time} on {day}", "this {day}", "on {month} {date}", "{day} [morning/evening/afternoon]", "at {time}", "in {month} {year}", "on {date} {month} {year}",
                day=self.pick(DAYS), time=self.clock(), date=self.rng.randint(1, 30), month=self.pick(MONTHS), year=self.rng.randint(1950, 2040))  # fmt: skip
        return self.say(
            "on {day}",
            "on {day} at {time}",
            "on {date} {month}",
            "tomorrow",
            "tomorrow at {time}",
            "next {day}",
            "on {day}, {date} {month}",
            day=self.pick(DAYS),
            time=self.clock(),
            date=self.rng.randint(1, 28),
            month=self.pick(MONTHS),
        )

    def deadline(self) -> str:
        return self.say(
            "by {day}", "by {date} {month}", "before {day}", "by the end of {month}", "until {day} at {time}",
            day=self.pick(DAYS), date=self.rng.randint(1, 28), month=self.pick(MONTHS), time=self.clock(),
        )  # fmt: skip

    def clock(self) -> str:
        if self.training_does(0.4):
            return f"{self.rng.randint(0, 23)}:{self.rng.randint(0, 59):02d}"
        return f"{self.rng.randint(7, 21)}:{self.rng.choice(('00', '15', '30', '45'))}"

    def reason(self) -> str:
        return self.say(
            "the {noun} is {state}",
            "the {noun} [in/from] {place} is {state}",
            "{name} is [ill/on holiday/travelling/away]",
            "we [need/lost/forgot/changed/sold] the {noun}",
            "there is [no/too much/not enough] {noun}",
            noun=self.noun(), state=self.state(), place=self.place(), name=self.first_name(),
        )  # fmt: skip

    def several(self, options: Sequence[str], count: int) -> list[str]:
        """Different entries of one list, in any order."""
        return self.rng.sample(list(options), count)

    def in_turn(self, options: Sequence[str], count: int) -> list[str]:
        """Different entries of one list in its order, from anywhere on and round the end: who writes them needs to remember
        the last one only, and so repeats none."""
        if self.held_out:
            return self.several(options, count)
        widest = len(options) // count
        places = [self.rng.randrange(len(options))]
        places += [self.rng.randint(1, min(3, widest)) for _ in range(count - 1)]
        return [options[sum(places[: i + 1]) % len(options)] for i in range(count)]

    def sender(self) -> str:
        """Whose name stands below."""
        if self.training_does(0.2):
            return self.say("[the whole team/all of us/your family/us/your neighbours]", "your {n} team", "the {n}s", "{f} {l}", "{f} and {o}", "the {l} family", n=self.noun(), f=self.first_name(), o=self.first_name(), l=self.made_up().capitalize())  # fmt: skip
        return self.first_name()


@cache
def kept_words() -> frozenset[str]:
    """The names and things that are kept for evaluation, in lower case."""
    lists = (
        FIRST_NAMES,
        LAST_NAMES,
        PLACES,
        NOUNS,
        MORE_WORDS,
        ADJECTIVES,
        GERUNDS,
        STATES,
        HOBBIES,
        DAYS,
        MONTHS,
    )
    return frozenset(word.lower() for options in lists for word in options[5::8])


def listed(items: Sequence[str]) -> str:
    """The items as a sentence part: "a, b and c"."""
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}"


def with_article(noun: str) -> str:
    return f"{'an' if noun[0].lower() in 'aeiou' else 'a'} {noun}"
