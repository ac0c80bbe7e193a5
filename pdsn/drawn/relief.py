"""The height of the face as light sees it, and that light."""

from __future__ import annotations

import numpy as np

from pdsn.drawn.camera import mouth_pose
from pdsn.drawn.canvas import Canvas, bump, clip, slopes
from pdsn.drawn.people import Person
from pdsn.drawn.shot import Shot


def face_relief(person: Person, shot: Shot, canvas: Canvas, bulge: np.ndarray) -> np.ndarray:
    """Height of the face as the light sees it: the head, and on it nose, sockets, cheeks, lips, chin."""
    u, v = canvas.u, canvas.v
    across = np.abs(u)
    head, eyes, mouth = person.head, person.eyes, person.mouth
    width, lift = mouth_pose(person, shot)
    smile = max(shot.smile, 0.0)
    relief = 0.72 * np.sqrt(bulge + 0.004)
    relief += 0.05 * bump(across, v, 0.42, -0.24, 0.38, 0.12)
    relief -= eyes.socket * bump(across, v, 0.47, -0.06, 0.30, 0.17)
    relief -= 0.07 * bump(across, v, 0.22, -0.02, 0.09, 0.16)
    relief += 0.075 * bump(across, v, 0.50, 0.0, 0.19, 0.12)
    relief -= 0.035 * eyes.bag * bump(across, v, 0.47, 0.22, 0.24, 0.045)
    relief += head.cheekbone * bump(across, v, 0.66, 0.50 - 0.06 * smile, 0.32, 0.26)
    relief += 0.06 * smile * bump(across, v, 0.55, 0.72, 0.2, 0.18)
    relief -= head.hollow * bump(across, v, 0.72, 1.02, 0.24, 0.30)
    relief -= 0.05 * bump(across, v, 1.0, -0.35, 0.25, 0.3)
    relief += _nose_relief(person, u, v)
    top, bottom = mouth.height - mouth.upper * 0.5, mouth.height + mouth.lower * 0.55
    relief += 0.045 * bump(u, v, 0.0, mouth.height, 0.45, 0.30)
    relief += 0.4 * mouth.upper * bump(u, v, 0.0, top, width * 0.7, mouth.upper * 0.75)
    relief += 0.45 * mouth.lower * bump(u, v, 0.0, bottom, width * 0.62, mouth.lower * 0.75)
    relief -= 0.05 * bump(u, v, 0.0, mouth.height + mouth.lower + 0.13, 0.26, 0.08)
    relief -= 0.022 * mouth.philtrum * bump(u, v, 0.0, mouth.height - mouth.upper - 0.10, 0.05, 0.09)
    relief -= 0.03 * bump(across, v, width + 0.05, mouth.height - lift, 0.07, 0.08)
    relief += head.chin_bump * bump(u, v, 0.0, head.chin - 0.22, head.chin_width, 0.20)
    relief -= 0.03 * head.cleft * bump(u, v, 0.0, head.chin - 0.18, 0.04, 0.11)
    return relief - _folds(person, shot, across, v)


def _nose_relief(person: Person, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Bridge, tip and wings."""
    nose = person.nose
    tip = nose.length - nose.upturn
    down = clip((v + 0.12) / (tip + 0.12), 0, 1.3)
    fade = clip((tip + 0.19 - v - 1.4 * u**2) / 0.22, 0, 1)
    bridge = nose.height * (0.16 + 0.40 * down + nose.hump * 3 * np.sin(np.pi * clip(down, 0, 1)))
    start = clip((v + 0.30) / 0.30, 0, 1)
    thick = nose.bridge * (0.85 + 0.5 * down)
    ridge = bridge * np.exp(-((u / thick) ** 2)) * fade * fade * (3 - 2 * fade) * start
    ball = 0.56 * nose.height * bump(u, v, 0.0, tip, nose.tip, nose.tip)
    wings = 0.20 * nose.height * bump(np.abs(u), v, nose.width * 0.78, tip + 0.05, nose.width * 0.30, 0.085)
    return ridge + ball + wings


def _folds(person: Person, shot: Shot, across: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Depth of the folds from nose to mouth, of the frown lines and of crow's feet."""
    age, smile = person.skin.wrinkles, max(shot.smile, 0.0)
    nose, mouth = person.nose, person.mouth
    start, end = nose.length + 0.02, mouth.height - 0.02
    along = clip((v - start) / (end - start), -0.3, 1.4)
    path = nose.width + 0.06 + (mouth.width + 0.10 + 0.05 * smile - nose.width) * clip(along, 0, 2) ** 1.1
    window = clip(1.2 - np.abs(along - 0.5) * 1.9, 0, 1)
    depth = (0.012 + 0.022 * age + 0.022 * smile) * np.exp(-(((across - path) / 0.075) ** 2)) * window
    if age > 0.15:
        brow = clip(1 - ((v + 0.72) / 0.28) ** 2, 0, 1) * clip(1 - (across / 0.75) ** 2, 0, 1)
        depth += 0.006 * age * brow * np.sin(v * 46 + 3 * across**2)
        feet = bump(across, v, 0.90, 0.03, 0.10, 0.16)
        depth += 0.010 * age * (0.5 + smile) * feet * np.sin(np.arctan2(v - 0.02, across - 0.72) * 11)
    return depth


def light_face(face: Canvas, person: Person, shot: Shot, relief: np.ndarray, line: np.ndarray) -> None:
    """Light the painted face: direct and sky light, shadows of nose, brow, lip and hair, gloss."""
    u, v = face.u, face.v
    across = np.abs(u)
    turned = relief - u * float(np.sin(shot.yaw)) * 0.6 - v * float(np.sin(shot.pitch)) * 0.6
    down, right = slopes(turned)
    scale = 1 / face.pixel
    down, right = down * scale, right * scale
    norm = 1 / np.sqrt(1 + down**2 + right**2)
    light = shot.light
    facing = (light[2] - right * light[0] - down * light[1]) * norm
    direct = clip((facing + 0.35) / 1.35, 0, 1)
    sky = 0.75 - 0.25 * down * norm
    # Where light hardly reaches: sockets, sides of the nose, under nose, lip and chin, at the hair.
    nose, mouth, head = person.nose, person.mouth, person.head
    hidden = 0.22 * bump(across, v, 0.34, -0.08, 0.24, 0.12)
    hidden += 0.30 * bump(u, v, 0.0, nose.length + 0.20, nose.width * 0.95, 0.07)
    hidden += 0.20 * bump(across, v, nose.width + 0.06, nose.length + 0.06, 0.06, 0.10)
    hidden += 0.25 * bump(u, v, 0.0, mouth.height + mouth.lower + 0.10, 0.26, 0.06)
    hidden += 0.35 * clip((v - head.chin + 0.18) / 0.3, 0, 1) ** 2
    hidden += 0.40 * np.exp(-np.maximum(v - line, 0) / 0.11) * person.hair.density
    fall = bump(u, v, -0.38 * light[0], nose.length + 0.05, 0.20, 0.26) * (u * light[0] < 0)
    hidden += 0.55 * abs(light[0]) * fall
    edge = u * shot.shadow[0] + (v - 0.5) * shot.shadow[1] - shot.shadow[2]
    direct *= 1 - shot.shadow[3] * clip(0.5 + edge / 0.35, 0, 1)
    amount = (shot.ambient * sky + 1.05 * (1 - 0.6 * shot.ambient) * direct) * (1 - clip(hidden, 0, 0.8))
    # Light that has travelled through skin is red: shadows lose blue and green first.
    for channel, power in enumerate((0.92, 1.04, 1.08)):
        face.colour[channel] *= amount**power
    halfway = np.array([light[0], light[1], light[2] + 1.0])
    halfway /= np.linalg.norm(halfway)
    mirror = clip((float(halfway[2]) - right * float(halfway[0]) - down * float(halfway[1])) * norm, 0, 1)
    face.colour += (
        person.skin.gloss * (0.16 * mirror**24 + 0.05 * mirror**6) * direct * (1 - clip(hidden * 2, 0, 1))
    )
