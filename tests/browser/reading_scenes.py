"""What a camera at the door gets to see: one QR code in 30 pictures, from clean to spoilt.

A picture is drawn in the order in which light meets trouble: the code lies somewhere in space, a screen may show it,
the lens blurs it, the hand moves, the room is dark or has lamps, the sensor adds noise. Lengths are camera pixels,
light is 0 to 1. The same scene is the same picture every time: its noise is seeded by its name.
"""

from dataclasses import dataclass
from io import BytesIO

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageChops, ImageFilter

from meetup import ticket_code
from meetup.ticket_files import qr_matrix, qr_png
from tests.browser.fake_camera import BACKGROUND, draw_code

Light = npt.NDArray[np.float32]
Corners = list[tuple[float, float]]

WIDTH, HEIGHT = 1280, 720
# Drawn twice as large and halved, so that the edges of modules are as soft as a lens leaves them.
OVERSAMPLING = 2
# The square in the frame's middle in which every code has room, whichever way it is turned.
STAGE = 560
GLARE_AT = (700, 320)
GLARE_RADIUS = 90

SHORT = "K7QM2WXA9FHT4RCD6PNE"
URL = "https://tickets.example.org/t/4Kq9ZtVb2mXw7RfA"
TICKET = ticket_code.pack(7, bytes(range(16)), bytes(range(32)))


@dataclass(frozen=True)
class Scene:
    """One code before the camera and what spoils the view of it.

    `side` counts the quiet zone; `angle` is in degrees; `perspective` is the part by which the far edge is shorter;
    `pitch` is camera pixels for each pixel of the screen that shows the code, 0 for a code on paper.
    """

    name: str
    text: str = URL
    side: int = 360
    angle: float = 0
    perspective: float = 0
    is_inverted: bool = False
    pitch: float = 0
    blur: float = 0
    motion: int = 0
    contrast: float = 1
    brightness: float = 1
    glare: float = 0
    noise: float = 0


SCENES = (
    Scene("clean short", SHORT),
    Scene("clean url"),
    Scene("clean signed", TICKET),
    Scene("rotated 30", angle=30),
    Scene("rotated 45", angle=45),
    Scene("upside down", angle=180),
    Scene("perspective", perspective=0.25),
    Scene("strong perspective", perspective=0.45),
    Scene("blur 2", blur=2),
    Scene("blur 4", blur=4),
    Scene("blur 6", blur=6),
    Scene("motion 12 px", motion=12),
    Scene("motion 20 px", motion=20),
    Scene("small 120 px", side=120),
    Scene("small 90 px", side=90),
    Scene("small 70 px", side=70),
    Scene("contrast 25 %", contrast=0.25),
    Scene("contrast 10 %", contrast=0.1),
    Scene("dark noisy", brightness=0.25, noise=0.05),
    Scene("very noisy", noise=0.2),
    Scene("glare 0.6", glare=0.6),
    Scene("glare 1.2", glare=1.2),
    Scene("screen moire 1.13", pitch=1.13),
    Scene("screen moire 0.87", pitch=0.87),
    Scene("screen moire 1.6", pitch=1.6),
    Scene("screen moire 1.6 and blur", pitch=1.6, blur=2),
    Scene("screen moire 2.7", pitch=2.7),
    Scene("inverted", is_inverted=True),
    Scene("signed blur 3", TICKET, blur=3),
    Scene("signed small 160 px", TICKET, side=160),
)


def draw_png(scene: Scene) -> bytes:
    """Return the camera picture of a scene, 1280 x 720 in colour, as a PNG that keeps every pixel as it was drawn."""
    file = BytesIO()
    _draw(scene).save(file, "PNG", compress_level=1)
    return file.getvalue()


def _draw(scene: Scene) -> Image.Image:
    frame = _lay_out(scene)
    if scene.pitch:
        frame = _show_on_screen(frame, scene.pitch)
    if scene.blur:
        frame = frame.filter(ImageFilter.GaussianBlur(scene.blur))
    if scene.motion:
        frame = frame.filter(ImageFilter.BoxBlur(((scene.motion - 1) / 2, 0)))
    return _expose(frame, scene)


def _code_of(scene: Scene) -> Image.Image:
    """Return the picture that people hold up; for a ticket it is the very one of the ticket page."""
    is_ticket = scene.text == TICKET
    code = Image.open(BytesIO(qr_png(qr_matrix(TICKET)))).convert("RGB") if is_ticket else draw_code(scene.text)
    return ImageChops.invert(code) if scene.is_inverted else code


def _lay_out(scene: Scene) -> Image.Image:
    """Return the frame with the code in its middle, turned and tilted."""
    side = scene.side * OVERSAMPLING
    size = (STAGE * OVERSAMPLING, STAGE * OVERSAMPLING)
    code = _code_of(scene).resize((side, side), Image.Resampling.BOX)
    to_code = _perspective(_corners(scene), [(0, 0), (side, 0), (side, side), (0, side)])
    code, mask = (
        picture.transform(size, Image.Transform.PERSPECTIVE, to_code, Image.Resampling.BICUBIC)
        for picture in (code, Image.new("L", code.size, 255))
    )
    stage = Image.new("RGB", size, BACKGROUND)
    stage.paste(code, mask=mask)
    frame = Image.new("RGB", (WIDTH, HEIGHT), BACKGROUND)
    frame.paste(stage.reduce(OVERSAMPLING), ((WIDTH - STAGE) // 2, (HEIGHT - STAGE) // 2))
    return frame


def _corners(scene: Scene) -> Corners:
    """Return where the code's corners come to lie on the oversampled stage, clockwise from its own top left."""
    half = scene.side * OVERSAMPLING / 2
    far = half * (1 - scene.perspective)
    turn = np.exp(1j * np.radians(scene.angle))
    middle = complex(STAGE, STAGE) * OVERSAMPLING / 2
    flat = (complex(-far, -far), complex(far, -far), complex(half, half), complex(-half, half))
    return [(float(at.real), float(at.imag)) for at in (middle + turn * corner for corner in flat)]


def _perspective(corners: Corners, targets: Corners) -> list[float]:
    """Return the eight numbers with which Pillow maps these four corners to their targets."""
    rows, results = [], []
    for (x, y), (u, v) in zip(corners, targets, strict=True):
        rows += [[x, y, 1, 0, 0, 0, -u * x, -u * y], [0, 0, 0, x, y, 1, -v * x, -v * y]]
        results += [u, v]
    return [float(number) for number in np.linalg.solve(np.array(rows), np.array(results))]


def _show_on_screen(frame: Image.Image, pitch: float) -> Image.Image:
    """Return the frame as a screen shows it: pixels of three coloured stripes, each camera pixel seeing one point."""
    x, y = np.arange(WIDTH) / pitch, np.arange(HEIGHT) / pitch
    columns = np.minimum(((np.floor(x) + 0.5) * pitch).astype(int), WIDTH - 1)
    lines = np.minimum(((np.floor(y) + 0.5) * pitch).astype(int), HEIGHT - 1)
    is_lit = np.floor(3 * (x % 1)).astype(int)[:, None] == np.arange(3)
    return Image.fromarray(np.asarray(frame)[lines][:, columns] * is_lit.astype(np.uint8))


def _expose(frame: Image.Image, scene: Scene) -> Image.Image:
    """Return what the sensor makes of the light, which in an even room is the frame as it is."""
    if (scene.brightness, scene.contrast, scene.glare, scene.noise) == (1, 1, 0, 0):
        return frame
    light: Light = np.asarray(frame, dtype=np.float32) * np.float32(scene.brightness / 255)
    if scene.contrast != 1:
        light = 0.5 + (light - 0.5) * np.float32(scene.contrast)
    if scene.glare:
        light = light + _lamp(scene.glare)[:, :, None]
    if scene.noise:
        light = light + _grain(scene, light.shape)
    return Image.fromarray((light.clip(0, 1) * 255).round().astype(np.uint8))


def _lamp(strength: float) -> Light:
    """Return what a lamp's reflection adds to each pixel, most of it up and right of the code's middle."""
    x, y = np.arange(WIDTH) - GLARE_AT[0], np.arange(HEIGHT) - GLARE_AT[1]
    fall = strength * np.exp(-(x[None, :] ** 2 + y[:, None] ** 2) / (2 * GLARE_RADIUS**2))
    return fall.astype(np.float32)


def _grain(scene: Scene, shape: tuple[int, ...]) -> Light:
    """Return the noise that a scene has every time."""
    noise = np.random.default_rng(list(scene.name.encode())).standard_normal(shape, dtype=np.float32)
    return noise * np.float32(scene.noise)
