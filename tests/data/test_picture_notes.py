"""Images that hardly show what people see, or that are no images of a camera, are noted; others are not."""

import io

import numpy as np
import pytest
from PIL import Image, ImageDraw

from mstl.data.checking.scan import examine
from tests.data.test_checks import png
from tests.data.test_near_duplicates import scene

ODD = {"tiny", "narrow", "dark", "blank", "graphic", "hidden"}


def noted(path):
    """The odd things that are noted, each with its detail."""
    result = examine(path)
    assert result.problem == ""
    return {word: detail for word, detail in result.notes if word in ODD}


def placeholder(background="#f7f7f7", size=(300, 300)):
    """What sites show in the place of an image that is gone: a frame and a text with smooth edges."""
    large = Image.new("RGB", (size[0] * 4, size[1] * 4), background)
    draw = ImageDraw.Draw(large)
    draw.rectangle((50, 50, size[0] * 4 - 50, size[1] * 4 - 50), outline="#ececed", width=6)
    draw.text((240, 500), "WE'RE SORRY", fill="#3f3f41", font_size=110)
    return large.resize(size, Image.Resampling.BOX)


def sixteen_bits(path, largest, colour=False):
    """An image of a camera in 16 bits, whose values do not exceed ``largest``."""
    grey = np.asarray(scene(3, (90, 70)).convert("L")).astype(np.uint16)
    values = np.rint(grey * (largest / grey.max())).astype(np.uint16)
    if not colour:
        Image.fromarray(values).save(path)
        return
    rows = np.repeat(values[:, :, None], 3, axis=2).astype(">u2")
    if path.suffix == ".ppm":
        path.write_bytes(b"P6\n90 70\n65535\n" + rows.tobytes())
    else:
        path.write_bytes(png(90, 70, 16, 2, b"".join(b"\0" + row.tobytes() for row in rows)))


@pytest.mark.parametrize("name", ["a.gif", "a.png"])
def test_placeholders(tmp_path, name):
    picture = placeholder()
    (picture.convert("P") if name == "a.gif" else picture).save(tmp_path / name)
    assert set(noted(tmp_path / name)) in ({"graphic"}, {"blank"})


def test_two_colours(tmp_path):
    board = np.kron(np.indices((6, 6)).sum(0) % 2, np.ones((8, 8))).astype(bool)
    Image.fromarray(board).save(tmp_path / "bits.png")
    Image.fromarray(board).convert("P").save(tmp_path / "palette.gif")
    Image.fromarray(np.where(board[..., None], [250, 20, 20], [20, 20, 250]).astype(np.uint8)).save(tmp_path / "c.bmp")
    for path in tmp_path.iterdir():
        assert noted(path) == {"graphic": "only 2 colours: a placeholder, a text or a drawing?"}, path


def test_nearly_one_colour(tmp_path):
    grain = np.random.default_rng(0).normal(0, 2, (200, 300, 3))
    for number, colour in enumerate([(0, 0, 0), (255, 255, 255), (90, 140, 60)]):
        pixels = np.clip(np.array(colour) + grain, 0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{number}.jpg")
        Image.fromarray(pixels).save(tmp_path / f"{number}.png")
    Image.new("I;16", (200, 300), 40_000).save(tmp_path / "deep.png")
    Image.new("F", (200, 300), 0.5).save(tmp_path / "float.tif")
    for path in tmp_path.iterdir():
        assert set(noted(path)) == {"blank"}, path


def test_two_colours_of_the_same_grey_are_not_blank(tmp_path):
    pixels = np.zeros((100, 100, 3), np.uint8)
    pixels[:, :50], pixels[:, 50:] = (100, 0, 0), (0, 51, 0)  # both are grey 30
    pixels[::7, ::3, 2] = np.arange(34) * 7  # and not few colours
    pixels[1::7, ::3, 2] = np.arange(34) * 7 + 3
    Image.fromarray(pixels).save(tmp_path / "a.png")
    assert "blank" not in noted(tmp_path / "a.png")


@pytest.mark.parametrize("bits", [8, 10, 12, 14])
@pytest.mark.parametrize("name", ["a.png", "a.tif", "colour.png", "colour.ppm"])
def test_less_than_16_bits_in_16(tmp_path, name, bits):
    sixteen_bits(tmp_path / name, 2**bits - 1, "colour" in name)
    assert set(noted(tmp_path / name)) == {"dark"}
    if "colour" not in name:
        assert f"no value above {2**bits - 1:,} of 65,535" in noted(tmp_path / name)["dark"]


@pytest.mark.parametrize("name", ["a.png", "a.tif", "colour.png", "colour.ppm"])
def test_16_bits_in_16(tmp_path, name):
    sixteen_bits(tmp_path / name, 50_000, "colour" in name)
    assert noted(tmp_path / name) == {}


def test_big_endian_values(tmp_path):
    grey = np.asarray(scene(3, (90, 70)).convert("L")).astype(">u2") << 4
    Image.frombytes("I;16B", (90, 70), grey.astype(">u2").tobytes()).save(tmp_path / "a.tif")
    assert set(noted(tmp_path / "a.tif")) == {"dark"}


def test_values_whose_range_is_stretched_are_not_dark(tmp_path):
    values = np.asarray(scene(3, (90, 70)).convert("L"))
    Image.fromarray(values.astype(np.int32) * 8).save(tmp_path / "a.tif")
    Image.fromarray(values.astype(np.float32) / 1000).save(tmp_path / "float.tif")
    assert noted(tmp_path / "a.tif") == noted(tmp_path / "float.tif") == {}


@pytest.mark.parametrize(
    ("size", "word"), [((1, 1), "tiny"), ((15, 400), "tiny"), ((16, 16), None), ((600, 100), "narrow"),
                       ((100, 501), "narrow"), ((500, 100), None)]
)  # fmt: skip
def test_sizes(tmp_path, size, word):
    scene(4, (600, 600)).crop((0, 0, *size)).save(tmp_path / "a.png")
    assert set(noted(tmp_path / "a.png")) - {"blank", "graphic"} == ({word} if word else set())


def with_alpha(picture, alpha):
    """An image with an alpha channel of (height, width) values."""
    image = picture.convert("RGBA")
    image.putalpha(Image.fromarray(alpha.astype(np.uint8)))
    return image


def disc(share):
    """(120, 160) alpha, opaque in a disc of this share of the image, with smooth edges, and invisible around it."""
    rows, columns = np.mgrid[:120, :160]
    distance = np.hypot(rows - 60, columns - 80)
    return np.clip((np.sqrt(share * 120 * 160 / np.pi) - distance) * 128 + 128, 0, 255)


def cut_out(share):
    """A scene of which a disc is visible, on black."""
    alpha = disc(share)
    pixels = np.asarray(scene(5, (160, 120))) * (alpha[..., None] > 0)
    return with_alpha(Image.fromarray(pixels.astype(np.uint8)), alpha)


def test_what_transparency_hides(tmp_path):
    wide = scene(5, (160, 120))
    with_alpha(wide, disc(0.6)).save(tmp_path / "kept background.png")
    with_alpha(wide, np.full((120, 160), 60)).save(tmp_path / "faint.png")
    cut_out(0.3).save(tmp_path / "mostly nothing.png")
    with_alpha(Image.new("RGB", (160, 120)), disc(0.6)).save(tmp_path / "shape.png")
    white = with_alpha(Image.new("RGB", (160, 120), "white"), disc(0.1))
    white.save(tmp_path / "white.webp", lossless=True, exact=True)
    with_alpha(Image.new("L", (160, 120)).convert("RGB"), disc(0.4)).convert("LA").save(tmp_path / "shape-grey.png")
    palette = cut_out(0.3).convert("RGB").convert("P", palette=Image.Palette.ADAPTIVE)
    palette.save(tmp_path / "palette.png", transparency=palette.getpixel((0, 0)))
    details = {path.stem: noted(path)["hidden"] for path in tmp_path.iterdir()}
    assert "hides something on 40% of it" in details["kept background"]
    assert "hides something on 100% of it" in details["faint"]
    assert "70% of it is transparent" in details["mostly nothing"] and "69% of it" in details["palette"]
    assert all("one colour is left" in details[name] for name in ("shape", "white", "shape-grey"))


def test_transparency_that_hides_nothing(tmp_path):
    wide = scene(5, (160, 120))
    with_alpha(wide, np.full((120, 160), 255)).save(tmp_path / "opaque.png")
    with_alpha(wide, np.full((120, 160), 200)).save(tmp_path / "see-through.png")
    cut_out(0.6).save(tmp_path / "cut-out.png")
    wide.convert("P").save(tmp_path / "key.png", transparency=3)
    for path in tmp_path.iterdir():
        assert "hidden" not in noted(path), path


def test_images_of_a_camera(tmp_path):
    """Grey, faint, dark, bright, small ones, and those in few colours of a palette, are nothing odd."""
    for number in range(4):
        base = scene(number)
        values = np.asarray(base).astype(float)
        noise = np.random.default_rng(number).normal(0, 2, values.shape)
        base.save(tmp_path / f"{number}.jpg")
        base.convert("L").save(tmp_path / f"{number}-grey.jpg")
        base.convert("CMYK").save(tmp_path / f"{number}-cmyk.jpg")
        base.convert("P").save(tmp_path / f"{number}.gif")
        base.resize((32, 32)).save(tmp_path / f"{number}-small.png")
        for name, pixels in (("night", values / 6), ("fog", 200 + values / 8)):
            Image.fromarray(np.clip(pixels + noise, 0, 255).astype(np.uint8)).save(tmp_path / f"{number}-{name}.jpg")
    assert {path.name: noted(path) for path in tmp_path.iterdir() if noted(path)} == {}


def test_an_object_on_white_is_not_blank(tmp_path):
    picture = Image.new("RGB", (300, 200), "white")
    picture.paste(scene(6, (60, 40)), (120, 80))
    content = io.BytesIO()
    picture.save(content, "JPEG")
    (tmp_path / "a.jpg").write_bytes(content.getvalue())
    assert noted(tmp_path / "a.jpg") == {}
