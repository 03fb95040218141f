"""The words the illustrator reads, and the smaller list among them that `starter/image` was taught."""

# Attribute → value → the words people may use for it. The first word is the plain one. Captions for training are drawn from
# these, in this order: add new words to `WIDER`.
TAUGHT: dict[str, dict[str, list[str]]] = {
    "place": {
        "mountains": [
            "mountains",
            "mountain peaks",
            "a mountain range",
            "high mountains",
            "the alps",
            "a mountain landscape",
        ],
        "hills": ["hills", "rolling hills", "meadows", "the countryside", "fields", "a valley", "grassland"],
        "desert": ["desert", "sand dunes", "dunes", "a sandy desert", "the sahara"],
        "sea": ["sea", "the ocean", "the coast", "a seascape", "the water", "a calm sea", "the sea side"],
        "forest": ["forest", "the woods", "pine trees", "a pine forest", "woodland", "fir trees"],
        "city": [
            "city",
            "a skyline",
            "a city skyline",
            "skyscrapers",
            "downtown",
            "tall buildings",
            "a town",
        ],
    },
    "time": {
        "day": [
            "day",
            "at noon",
            "in daylight",
            "by day",
            "at midday",
            "in the afternoon",
            "under a blue sky",
        ],
        "dawn": [
            "dawn",
            "at dawn",
            "at sunrise",
            "in the early morning",
            "in the morning",
            "under a pink sky",
            "daybreak",
        ],
        "sunset": [
            "sunset",
            "at sunset",
            "at dusk",
            "in the evening",
            "under an orange sky",
            "evening glow",
            "golden hour",
        ],
        "night": [
            "night",
            "at night",
            "by moonlight",
            "under the stars",
            "at midnight",
            "in the dark",
            "starry night",
        ],
    },
    "weather": {
        "clear": ["clear", "clear sky", "clear weather", "cloudless", "fine weather", "no clouds"],
        "cloudy": ["cloudy", "with clouds", "fluffy clouds", "cloudy sky", "clouds in the sky"],
        "stormy": [
            "stormy",
            "in a storm",
            "thunderstorm",
            "with lightning",
            "dark clouds and lightning",
            "bad weather",
        ],
    },
    "season": {
        "summer": ["summer", "in summer", "green", "lush green", "summertime"],
        "autumn": ["autumn", "in autumn", "in the fall", "golden autumn", "autumn colours", "autumn colors"],
        "winter": ["winter", "in winter", "snowy", "covered in snow", "with snow", "snow", "white winter"],
        "spring": ["spring", "in spring", "blossoming", "in bloom", "with blossoms", "springtime"],
    },
    "object": {
        "house": ["house", "cottage", "cabin", "little house", "home"],
        "balloon": ["hot air balloon", "balloon", "air balloon"],
        "sailboat": ["sailboat", "boat", "sailing boat", "ship", "yacht"],
        "lighthouse": ["lighthouse", "light house", "beacon"],
        "tree": ["big tree", "tree", "lone tree", "old tree"],
        "cactus": ["cactus", "saguaro", "tall cactus"],
    },
    "shape": {
        "circle": ["circle", "disc", "round dot", "ball"],
        "square": ["square", "box", "block"],
        "triangle": ["triangle", "pyramid"],
        "diamond": ["diamond", "rhombus", "gem"],
        "hexagon": ["hexagon", "six sided shape"],
        "star": ["star", "five pointed star"],
        "heart": ["heart", "love heart"],
        "moon": ["moon", "crescent", "crescent moon"],
        "sun": ["sun", "sunburst", "shining sun"],
        "flower": ["flower", "blossom", "daisy"],
        "leaf": ["leaf", "tree leaf"],
        "drop": ["drop", "water drop", "droplet", "teardrop"],
        "bolt": ["lightning bolt", "bolt", "flash", "thunderbolt"],
        "cat": ["cat", "cat face", "kitten", "cat head"],
        "fish": ["fish", "goldfish"],
        "mug": ["mug", "cup", "coffee cup", "coffee mug"],
        "rocket": ["rocket", "space rocket", "rocket ship"],
        "crown": ["crown", "royal crown"],
        "mushroom": ["mushroom", "toadstool"],
        "apple": ["apple", "fruit"],
    },
    "colour": {
        "red": ["red", "crimson", "scarlet"],
        "orange": ["orange", "tangerine"],
        "yellow": ["yellow", "golden", "gold"],
        "green": ["green", "emerald"],
        "teal": ["teal", "turquoise", "cyan"],
        "blue": ["blue", "navy", "cobalt"],
        "purple": ["purple", "violet"],
        "pink": ["pink", "rose"],
        "white": ["white", "snow white"],
        "black": ["black", "dark"],
    },
    "frame": {
        "none": ["no frame", "without a frame"],
        "ring": [
            "ring",
            "in a ring",
            "inside a circle",
            "with a round frame",
            "round badge",
            "in a round border",
        ],
        "box": ["square frame", "in a square frame", "with a square border", "in a box", "framed"],
    },
    "side": {
        "left": ["left", "on the left", "on the left side"],
        "middle": ["middle", "in the middle", "in the center", "in the centre"],
        "right": ["right", "on the right", "on the right side"],
    },
}

# What the illustrator knows beyond that, and more words for what both know.
WIDER: dict[str, dict[str, list[str]]] = {
    "place": {
        "hills": ["hill", "meadow", "field", "farm", "park", "countryside"],
        "mountains": ["mountain", "peaks", "alpine"],
        "forest": ["woods", "jungle"],
        "desert": ["sand"],
        "sea": ["ocean", "harbour", "harbor", "bay", "waves", "seaside"],
        "city": ["skyline", "cityscape", "buildings", "street", "town"],
        "lake": ["lake", "pond", "mountain lake", "river"],
        "beach": ["beach", "sandy beach", "shore", "seashore"],
        "island": ["island", "tropical island", "desert island"],
        "volcano": ["volcano", "erupting volcano", "lava"],
        "village": ["village", "little village", "hamlet"],
        "space": ["space", "outer space", "deep space", "galaxy", "the planets", "cosmos"],
        "underwater": ["underwater", "under water", "under the sea", "coral reef", "reef", "aquarium"],
    },
    "time": {
        "day": ["noon", "midday", "daytime", "daylight", "afternoon", "sunny day", "sunny"],
        "dawn": ["sunrise", "morning", "early morning", "pink sky"],
        "sunset": ["dusk", "evening", "twilight", "sundown", "orange sky"],
        "night": ["midnight", "moonlight", "moonlit", "starry", "starry sky", "full moon", "nighttime"],
    },
    "weather": {
        "clear": ["blue sky", "bright sky"],
        "cloudy": ["clouds", "cloud", "overcast"],
        "stormy": ["storm", "lightning", "thunder"],
        "rainy": ["rain", "rainy", "in the rain", "raining", "drizzle", "rain clouds"],
        "snowfall": ["snowfall", "snowing", "falling snow", "snowflakes", "snowstorm", "blizzard"],
        "foggy": ["fog", "foggy", "mist", "misty", "haze", "hazy"],
        "rainbow": ["rainbow", "with a rainbow", "under a rainbow"],
    },
    "season": {
        "summer": ["in the summer"],
        "autumn": ["fall colours", "fall colors", "autumnal", "red leaves"],
        "winter": ["wintry", "frozen", "ice"],
        "spring": ["cherry blossom", "cherry blossoms"],
    },
    "object": {
        "house": ["hut", "farmhouse", "barn", "chalet", "log cabin"],
        "sailboat": ["sailing ship", "sail"],
        "balloon": ["airship"],
        "tree": ["oak", "apple tree"],
        "palm": ["palm tree", "palm", "coconut tree"],
        "pine": ["pine tree", "pine", "fir", "fir tree", "christmas tree"],
        "tent": ["tent", "camp", "camping"],
        "windmill": ["windmill", "mill"],
        "castle": ["castle", "palace", "fortress", "fairy tale castle"],
        "snowman": ["snowman", "snow man"],
        "sheep": ["sheep", "lamb", "lambs"],
        "cat": ["kitty"],
        "dog": ["dog", "puppy"],
        "birds": ["bird", "gull", "seagull", "flock of birds"],
        "rocket": ["spaceship", "starship", "spacecraft"],
        "ufo": ["ufo", "flying saucer", "alien ship"],
        "planet": ["planet", "saturn", "ringed planet"],
        "plane": ["plane", "airplane", "aeroplane", "aircraft"],
        "whale": ["whale", "blue whale"],
        "fish": [],
        "turtle": ["turtle", "sea turtle"],
        "flowers": [
            "poppy",
            "poppies",
            "tulip",
            "wildflower",
            "wild flower",
            "sunflower",
            "rose bush",
            "tulips",
        ],
        "campfire": ["campfire", "bonfire", "camp fire"],
        "car": ["car", "van", "truck", "camper van"],
        "kite": ["kite"],
    },
    "shape": {
        "mountain": [],
        "tree": [],
        "house": [],
        "wave": ["wave"],
        "sailboat": [],
        "bird": [],
        "anchor": ["anchor"],
        "note": ["music note", "musical note", "note"],
        "key": ["key"],
        "compass": ["compass", "compass rose"],
        "cloud": [],
        "snowflake": ["snowflake"],
        "paw": ["paw", "paw print"],
        "dog": [],
        "robot": ["robot", "robot head"],
        "skull": ["skull"],
        "umbrella": ["umbrella"],
    },
    "product": {
        "mug": ["coffee mug", "cup of coffee", "tea cup", "coffee"],
        "bottle": ["bottle", "water bottle", "glass bottle", "wine bottle"],
        "vase": ["vase", "flower vase", "bouquet"],
        "plant": ["plant", "potted plant", "house plant", "houseplant", "flower pot", "succulent"],
        "sneaker": ["sneaker", "shoe", "running shoe", "trainer"],
        "lamp": ["lamp", "desk lamp", "table lamp"],
        "book": ["book", "notebook", "novel"],
        "candle": ["candle", "scented candle"],
        "perfume": ["perfume", "perfume bottle", "fragrance"],
        "headphones": ["headphone", "headset"],
        "teapot": ["teapot", "tea pot", "kettle"],
        "cupcake": ["cupcake", "muffin", "cake"],
        "chair": ["chair", "armchair", "stool"],
        "phone": ["phone", "smartphone", "mobile phone"],
        "jar": ["jar", "jam jar", "honey jar"],
        "bag": ["bag", "handbag", "shopping bag", "backpack"],
        "apple": [],
    },
    "surface": {
        "table": ["table", "wooden table", "desk", "wooden desk", "wood", "shelf", "kitchen table"],
        "podium": ["podium", "pedestal", "stand", "plinth", "round podium"],
        "marble": ["marble", "marble table", "stone table"],
        "floor": ["floor", "tiles", "tiled floor"],
    },
    "pattern": {
        "stripes": ["stripe", "striped"],
        "diagonal stripes": ["diagonal stripe", "diagonal"],
        "dots": ["dot", "polka dot", "dotted", "spots"],
        "waves": ["wave", "wavy", "wavy lines"],
        "checks": ["check", "checked", "checkerboard", "chess board", "squares"],
        "plaid": ["plaid", "tartan", "gingham"],
        "terrazzo": ["terrazzo", "stone chips"],
        "zigzag": ["zigzag", "zig zag", "chevron"],
        "confetti": ["confetti", "sprinkles"],
        "scales": ["scales", "fish scales", "scallop"],
        "triangles": ["geometric", "low poly", "mosaic"],
        "bricks": ["brick", "brick wall"],
        "planks": ["wood grain", "wooden planks", "planks"],
        "gradient": ["gradient", "ombre"],
        "leaves": ["foliage", "leafy", "botanical"],
        "flowers": ["floral", "flowery"],
        "night sky": ["night sky pattern"],
    },
    "style": {
        "flat": ["flat style", "flat colours", "flat colors", "flat design", "vector", "flat"],
        "watercolour": ["watercolour", "watercolor", "water colour", "water color", "aquarelle", "painted"],
        "pixel": ["pixel art", "pixel", "pixelated", "8 bit", "16 bit", "retro game"],
        "neon": ["neon", "neon lights", "glowing neon", "cyberpunk", "glowing", "synthwave"],
        "poster": ["poster", "travel poster", "vintage poster", "screen print", "retro", "vintage"],
        "sketch": [
            "sketch",
            "pencil",
            "pencil drawing",
            "line drawing",
            "ink drawing",
            "drawing",
            "line art",
        ],
    },
    "colour": {
        "grey": ["grey", "gray", "silver"],
        "brown": ["brown", "chocolate", "copper"],
        "cream": ["cream", "beige", "ivory"],
        "light blue": ["sky blue", "baby blue"],
        "dark blue": ["navy blue", "midnight blue"],
        "dark green": ["forest green", "olive"],
        "light green": ["mint", "mint green", "lime"],
        "dark red": ["maroon", "burgundy", "wine red"],
        "light purple": ["lavender", "lilac", "light violet"],
        "coral": ["coral", "salmon", "peach"],
    },
    "frame": {
        "none": ["no border"],
        "ring": ["round frame"],
        "box": ["border", "in a frame", "with a border"],
    },
    "side": {"left": ["left side"], "middle": ["center", "centre"], "right": ["right side"]},
}
EMBLEM_WORDS = (
    "logo", "logos", "emblem", "icon", "symbol", "badge", "sticker", "logo design", "app icon", "logotype", "crest", "monogram",
)  # fmt: skip
PATTERN_WORDS = (
    "pattern", "texture", "wallpaper", "seamless pattern", "seamless", "fabric", "wrapping paper", "repeating", "textile",
)  # fmt: skip
PRODUCT_WORDS = (
    "product",
    "product photo",
    "product shot",
    "packshot",
    "still life",
    "studio shot",
    "studio light",
)
SCENE_WORDS = ("landscape", "scene", "scenery", "view", "postcard", "panorama")
GROUND_WORDS = ("background", "backdrop", "ground", "wall", "backgrounds")
NUMBERS = {
    "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6,
    "pair of": 2, "couple of": 2, "few": 3, "some": 3, "several": 4, "many": 6,
}  # fmt: skip
NEGATIONS = ("no", "not", "without", "never", "minus", "except")
# Words that say nothing about what to paint; anything else that is not read is told to the person.
_SILENT = """
same again still more much lots only just can could would like want get give need something nice looks seen made kind sort type
a an the and or of in on at by near with for to from over under above below behind beside between
before into onto through is are it its this that there these those be being has have my our your his
her their me us you i we please draw make paint create show picture image photo photograph
illustration painting art artwork render depicting showing very quite so really quality best high
highly detailed detail lovely beautiful nice great cute pretty simple clean minimal minimalist
modern plain 4k 8k hd uhd style design coloured colored colour color colours colors small little
tiny big large huge wide tall old new quiet calm peaceful happy bright soft warm cool dreamy magic
magical famous cosy cozy any some standing flying sitting lying sailing floating swimming shining
full side against front upon around across while as lights light sky looking
"""
SILENT = frozenset(_SILENT.split())


def words() -> dict[str, dict[str, list[str]]]:
    """Attribute → value → all words for it, the plain one first."""
    merged = {
        attribute: {value: list(said) for value, said in values.items()}
        for attribute, values in TAUGHT.items()
    }
    for attribute, values in WIDER.items():
        for value, said in values.items():
            known = merged.setdefault(attribute, {}).setdefault(
                value, [] if said and said[0] == value else [value]
            )
            known += [word for word in said if word not in known]
    return merged
