"""The colours of the painted world: those with names, and what the hour and the season do to the rest."""

Colour = tuple[int, int, int]


def named(name: str) -> Colour:
    """The colour of that name, "light blue" and "dark red" among them."""
    shade, _, plain = name.rpartition(" ")
    red, green, blue = COLOURS[plain]
    if shade == "light":
        return (
            round(red + (255 - red) * 0.52),
            round(green + (255 - green) * 0.52),
            round(blue + (255 - blue) * 0.52),
        )
    if shade == "dark":
        return round(red * 0.5), round(green * 0.5), round(blue * 0.5 + 12)
    return red, green, blue


def ink_on(ground: Colour) -> Colour:
    """Dark on light, light on dark."""
    return (34, 36, 54) if 0.3 * ground[0] + 0.59 * ground[1] + 0.11 * ground[2] > 130 else (250, 246, 236)


COLOURS: dict[str, Colour] = {
    "red": (222, 50, 48),
    "orange": (244, 140, 36),
    "yellow": (250, 208, 60),
    "green": (62, 160, 76),
    "teal": (38, 178, 172),
    "blue": (44, 92, 206),
    "purple": (128, 66, 178),
    "pink": (244, 140, 178),
    "white": (250, 248, 244),
    "black": (32, 32, 38),
    "grey": (142, 148, 158),
    "brown": (134, 90, 60),
    "cream": (246, 232, 206),
    "coral": (250, 138, 116),
}
SKIES: dict[str, tuple[Colour, Colour]] = {  # top, horizon
    "day": ((84, 164, 236), (206, 234, 250)),
    "dawn": ((164, 156, 220), (255, 208, 206)),
    "sunset": ((122, 56, 128), (255, 150, 62)),
    "night": ((12, 16, 52), (44, 58, 112)),
}
LIGHT: dict[
    str, tuple[Colour, float]
] = {  # what the hour mixes into every colour on the ground, and how much
    "day": ((255, 255, 255), 0.0),
    "dawn": ((236, 170, 190), 0.25),
    "sunset": ((150, 60, 40), 0.32),
    "night": ((14, 20, 58), 0.58),
}
SEASONS: dict[str, tuple[Colour, Colour]] = {  # ground, leaves
    "summer": ((96, 172, 72), (38, 122, 66)),
    "autumn": ((204, 160, 74), (218, 106, 38)),
    "winter": ((236, 242, 250), (196, 214, 230)),
    "spring": ((150, 204, 96), (246, 166, 196)),
    "": ((120, 180, 84), (46, 130, 70)),
}

WHITE: Colour = (255, 255, 255)
LAMP: Colour = (255, 226, 132)  # windows and lights in the dark


def darker(colour: Colour, share: float = 0.22) -> Colour:
    """Towards the violet of shadows."""
    red, green, blue = (
        round(value + (end - value) * share) for value, end in zip(colour, (24, 22, 50), strict=True)
    )
    return red, green, blue


def lighter(colour: Colour, share: float = 0.25) -> Colour:
    red, green, blue = (round(value + (255 - value) * share) for value in colour)
    return red, green, blue
