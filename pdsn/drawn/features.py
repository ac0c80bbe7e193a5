"""Eyes, brows, nostrils, mouth and beard, painted on the skin before it is lit."""

from __future__ import annotations

import numpy as np

from pdsn.drawn.camera import mouth_pose
from pdsn.drawn.canvas import Canvas, bump, clip, linear
from pdsn.drawn.people import Person
from pdsn.drawn.shot import Shot


def paint_eyes(face: Canvas, person: Person, shot: Shot) -> None:
    """Ball, iris, pupil, catch light, lids, lashes, crease and the bag below.

    Both eyes at once: they mirror each other but for the gaze and the catch light.
    """
    part = face.window(0.0, -0.02, 0.96, 0.34)
    eyes = person.eyes
    side = np.sign(part.u)
    out, down = np.abs(part.u) - 0.5, part.v
    down = down + eyes.tilt * out
    squint = 0.25 * max(shot.smile, 0.0)
    place = clip(out / eyes.width, -1.6, 1.6)
    arc = np.maximum(1 - place**2, 0) * (1 + eyes.peak * place)
    beyond = np.maximum(place**2 - 1, 0) * 0.05
    upper = -eyes.upper * shot.lids * arc**0.8 + 0.01 + beyond
    lower = eyes.lower * (1 - squint) * arc**0.9 * (0.4 + 0.6 * min(shot.lids, 1.0)) + 0.01 - beyond
    ends = part.cover(np.abs(out) - eyes.width, 0.02)
    opening = part.cover(upper - down) * part.cover(down - lower) * ends
    # The lid and the socket first, the ball over them.
    crease = upper - eyes.crease - 0.02 * (1.2 - shot.lids)
    lid = np.exp(-(((down - crease) / 0.022) ** 2)) * clip(1.25 - place**2, 0, 1)
    part.tint(lid * 0.75, (0.55, 0.42, 0.38))
    above = part.cover(down - upper) * part.cover(crease - down, 0.03) * clip(1.3 - place**2, 0, 1)
    part.tint(above * 0.35, (0.82, 0.72, 0.70))
    bag = np.exp(-(((down - lower - 0.085) / 0.05) ** 2)) * clip(1.1 - (place + 0.15) ** 2, 0, 1)
    part.tint(bag * (0.2 + 0.6 * eyes.bag), (0.78, 0.68, 0.70))
    gaze_u, gaze_v = 0.09 * shot.gaze[0] * side, 0.06 * shot.gaze[1]
    iris_u, iris_v = out - gaze_u, down - gaze_v + 0.012
    far = np.sqrt(iris_u**2 + iris_v**2)
    shade = 1 - 0.55 * np.exp(-np.maximum(down - upper, 0) / 0.035) - 0.25 * clip(np.abs(place) - 0.3, 0, 1)
    ball = np.broadcast_to(linear((0.84, 0.81, 0.80)), part.colour.shape).copy()
    rim = far / eyes.radius
    iris = (
        linear(eyes.iris)
        * (0.75 + 0.9 * clip(iris_v / eyes.radius + 0.35, 0, 1) * (rim < 1))
        * (1.15 - 0.75 * rim**4)
    )
    ball += part.cover(far - eyes.radius, 0.02) * (clip(iris, 0, 1) - ball)
    ball *= 1 - part.cover(far - eyes.radius * 0.43, 0.02) * 0.97
    ball *= clip(shade, 0.1, 1)
    glint_u, glint_v = 0.05 * shot.light[0] * side, 0.03 * shot.light[1] - 0.036
    ball += 0.9 * part.cover(np.hypot(iris_u - glint_u, iris_v - glint_v) - 0.021, 0.02)
    part.paint(opening, ball)
    lash = np.exp(-(((down - upper + 0.006) / (0.016 + 0.016 * eyes.lash)) ** 2)) * clip(
        1.35 - place**2, 0, 1
    )
    part.tint(clip(lash * (0.75 + 0.6 * eyes.lash), 0, 0.97), (0.10, 0.08, 0.08))
    below = np.exp(-(((down - lower - 0.004) / 0.014) ** 2)) * clip(1.15 - place**2, 0, 1)
    part.tint(below * (0.35 + 0.3 * eyes.lash), (0.42, 0.28, 0.26))


def paint_brows(face: Canvas, person: Person, shot: Shot) -> None:
    """Both eyebrows, thick at the nose, thin and soft at the outer end."""
    brows = person.brows
    part = face.window(0.0, -brows.height, 1.15, 0.4)
    across = np.abs(part.u)
    along = (across - brows.inner) / (brows.outer - brows.inner)
    inside = clip(along, 0, 1)
    middle = -brows.height - 0.045 * shot.raised - brows.tilt * (inside - 0.5)
    middle = middle - brows.arch * clip(1 - ((inside - 0.62) / 0.62) ** 2, 0, 1) + 0.03
    thick = brows.thickness * (1 - 0.7 * inside**2) * (0.8 + 0.2 * clip(inside * 5, 0, 1))
    fine = float(clip(1.2 - part.pixel * 40, 0, 1))
    hairs = 1 + fine * 0.13 * np.sin(across * 170 + part.v * 190 + 2 * np.sin(across * 31))
    hairs += fine * 0.10 * np.sin(across * 97 + part.v * 140 + 3 * np.sin(part.v * 40))
    ends = clip(along * 4 + 0.55, 0, 1) * clip((1.08 - along) * 5, 0, 1)
    mask = part.cover(np.abs(part.v - middle) - thick, 0.07) * ends
    part.paint(clip(mask * brows.density * hairs, 0, 0.95), brows.colour)


def paint_nostrils(face: Canvas, person: Person) -> None:
    """Nostrils, and the creases around the wings of the nose."""
    nose = person.nose
    part = face.window(0.0, nose.length + 0.08, 0.6, 0.4)
    across, v = np.abs(part.u), part.v
    floor = nose.length + 0.125 - nose.upturn
    hole = np.sqrt(
        ((across - nose.width * 0.5) / (nose.nostril * 1.35)) ** 2
        + ((v - floor) / (nose.nostril * 0.62)) ** 2
    )
    part.tint(part.cover((hole - 1) * nose.nostril, 0.04) * 0.85, (0.28, 0.16, 0.14))
    wing = np.hypot(
        (across - nose.width * 0.72) / (nose.width * 0.42), (v - nose.length - 0.055 + nose.upturn) / 0.115
    )
    crease = np.exp(-(((wing - 1) / 0.22) ** 2)) * clip((across - nose.width * 0.72) / 0.06, 0, 1)
    part.tint(crease * 0.45, (0.55, 0.42, 0.40))


def paint_mouth(face: Canvas, person: Person, shot: Shot) -> None:
    """Lips with the cupid's bow, and teeth when the mouth opens."""
    mouth = person.mouth
    width, lift = mouth_pose(person, shot)
    part = face.window(0.0, mouth.height + 0.05, width + 0.2, 0.55)
    place = part.u / width
    arc = np.maximum(1 - place**2, 0)
    down = part.v - mouth.height + lift * place**2
    smile = max(shot.smile, 0.0)
    gap = 0.20 * shot.open + 0.03 * smile
    bow = np.exp(-(((np.abs(place) - 0.24) / 0.20) ** 2)) - 1.1 * np.exp(-((place / 0.13) ** 2))
    inner_top = -0.30 * gap * arc**0.7
    inner_low = 0.70 * gap * arc**0.7
    top = inner_top - mouth.upper * (1 - 0.25 * smile) * arc**0.75 * (0.9 + 0.28 * mouth.bow * bow)
    low = inner_low + mouth.lower * (1 - 0.2 * smile) * arc**0.62
    ends = part.cover(np.abs(part.u) - width, 0.03)
    lips = part.cover(top - down, 0.02) * part.cover(down - low, 0.03) * ends
    upper = part.cover(down - inner_top, 0.03)
    colour = linear(mouth.colour)
    part.paint(lips * 0.92, colour * (1 - 0.22 * upper))
    part.tint(np.exp(-(((down - low) / 0.03) ** 2)) * arc * 0.35, (0.7, 0.55, 0.53))
    shine = bump(part.u, down, 0.0, 0.0, width * 0.4, 1.0) * np.exp(
        -(((down - inner_low - 0.45 * (low - inner_low)) / 0.028) ** 2)
    )
    part.colour += 0.10 * shine * lips
    if gap > 0.02:
        hole = (
            part.cover(inner_top - down)
            * part.cover(down - inner_low)
            * part.cover(np.abs(part.u) - width * 0.93, 0.05)
        )
        part.paint(hole, (0.22, 0.06, 0.06))
        edge = inner_top + np.minimum(0.10, 0.75 * gap) * arc**0.5
        teeth = hole * part.cover(down - edge, 0.02) * part.cover(np.abs(place) - 0.78, 0.2)
        part.paint(teeth * 0.95, (0.90, 0.87, 0.82))
    else:
        seam = np.exp(-(((down - 0.004) / 0.017) ** 2)) * part.cover(np.abs(part.u) - width * 1.03, 0.04)
        part.tint(seam * 0.85, (0.32, 0.18, 0.18))
    corner = bump(np.abs(part.u), down, width, 0.0, 0.045, 0.035)
    part.tint(corner * 0.5, (0.45, 0.32, 0.30))


def paint_beard(face: Canvas, person: Person, shot: Shot) -> None:
    """Moustache, chin and jaw, each as dense as the person grows it."""
    beard, mouth = person.beard, person.mouth
    if max(beard.moustache, beard.chin, beard.jaw) < 0.02:
        return
    u, v = face.u, face.v
    across = np.abs(u)
    width, _ = mouth_pose(person, shot)
    upper = mouth.height - mouth.upper
    lip = upper - 0.09 + 0.13 * clip(across / (width + 0.04), 0, 1.3) ** 2
    moustache = face.cover(np.abs(v - lip - 0.02) - 0.085, 0.09) * face.cover(across - width + 0.01, 0.12)
    low = mouth.height + mouth.lower
    chin = face.cover(low + 0.05 - v, 0.09) * face.cover(across - 0.36 - 0.12 * (v - low), 0.14)
    curve = beard.reach + 0.62 * clip(1 - (across - 0.45) / 0.55, 0, 1) ** 1.5
    jaw = face.cover(curve - v, 0.16) * clip((across - 0.18) / 0.25, 0, 1)
    cheek = clip(0.25 + 0.75 * (v - curve) / 0.3, 0, 1)
    mask = np.maximum(np.maximum(moustache * beard.moustache, chin * beard.chin), jaw * cheek * beard.jaw)
    grain = 0.86 + 0.14 * np.sin(u * 61 + 5 * np.sin(v * 23)) * np.sin(v * 47 + 4 * np.sin(u * 31))
    face.paint(clip(mask * grain, 0, 0.96), beard.colour)
