"""The colours of the painted world: those with names, and what the hour and the season do to the rest."""

Colour = tuple[int, int, int]

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
