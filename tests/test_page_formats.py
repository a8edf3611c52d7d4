"""Labels with boxes are cut out of their pages, from the files of each tool as its exports have them."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from label_files import MISSING, excluded, put
from numpy.typing import NDArray
from PIL import Image

from crnnocr import images
from crnnocr.config import LabelConfig
from crnnocr.datasets import Dataset, Sample, regions
from crnnocr.datasets.detection import load_dataset, load_datasets
from crnnocr.datasets.lines import load_lines
from crnnocr.datasets.regions import Region
from crnnocr.errors import ConfigError, DataError, ImageError
from crnnocr.images import Preprocessor

WIDTH, HEIGHT = 120, 80
TEXTS = {"eins, one": (10, 5, 50, 25), "zwei": (60, 40, 110, 70)}
"""Left, top, right and bottom of each text."""


def pixels() -> NDArray[np.uint8]:
    """A page in which no two places look the same."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    return np.stack((x, y, x + y), axis=2).astype(np.uint8)


def page(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels()).save(path)
    return path


def seen(sample: Sample) -> NDArray[np.uint8]:
    return np.asarray(Image.open(io.BytesIO(sample.read())).convert("RGB"))


def check(dataset: Dataset, texts: Iterable[str] = TEXTS) -> None:
    """Each text has the pixels of its box."""
    assert [sample.text for sample in dataset.samples] == list(texts)
    for sample in dataset.samples:
        left, top, right, bottom = TEXTS[sample.text]
        np.testing.assert_array_equal(seen(sample), pixels()[top:bottom, left:right])


def corners(text: str) -> list[list[int]]:
    left, top, right, bottom = TEXTS[text]
    return [[left, top], [right, top], [right, bottom], [left, bottom]]


def flat(text: str) -> list[int]:
    return [value for point in corners(text) for value in point]


def bounding_box(text: str) -> list[int]:
    left, top, right, bottom = TEXTS[text]
    return [left, top, right - left, bottom - top]


# PPOCRLabel


def ppocr(*more: dict[str, Any], name: str = "scans/page.png") -> str:
    boxes = [{"transcription": text, "points": corners(text), "difficult": False} for text in TEXTS]
    return f"{name}\t{json.dumps([*boxes, *more], ensure_ascii=False)}\n"


def test_ppocr_label(tmp_path: Path) -> None:
    page(tmp_path / "scans/page.png")
    more = [
        {"transcription": "待识别", "points": [[0, 0], [9, 0], [9, 9], [0, 9]], "difficult": False},
        {"transcription": "###", "points": [[0, 0], [9, 0], [9, 9], [0, 9]], "difficult": False},
        {"transcription": "hard", "points": [[0, 0], [9, 0], [9, 9], [0, 9]], "difficult": True},
        {"transcription": "flat", "points": [[0, 0], [9, 0], [9, 0], [0, 0]], "difficult": False},
    ]
    files = {"Label.txt": ppocr(*more), "fileState.txt": "/home/me/scans/page.png\t1\n"}
    dataset = load_dataset(put(tmp_path / "scans", [], files))
    check(dataset)
    assert dataset.format.startswith("PPOCRLabel")
    assert sorted(code for code, _ in excluded(dataset)) == [
        *("box-without-area", "empty-label", "placeholder-label", "placeholder-label")
    ]


def test_the_list_of_paddleocrs_detection_is_read_under_any_name(tmp_path: Path) -> None:
    page(tmp_path / "imgs/page.png")
    check(load_dataset(put(tmp_path, [], {"det_gt_train.txt": ppocr(name="imgs/page.png")})))


def test_the_crops_of_ppocr_label_are_read_from_their_list(tmp_path: Path) -> None:
    put(tmp_path, ["crop_img/page_crop_0.jpg"], {"rec_gt.txt": "crop_img/page_crop_0.jpg\teins\n"})
    put(tmp_path, ["page.jpg"], {"fileState.txt": "/home/me/page.jpg\t1\n"})
    assert [sample.text for sample in load_dataset(tmp_path).samples] == ["eins"]


# ICDAR, SROIE, CVAT's export for ICDAR


@pytest.mark.parametrize(
    "line",
    [
        lambda text: f"{','.join(map(str, flat(text)))},{text}",  # 2015, SROIE
        lambda text: f"{','.join(map(str, flat(text)))},Latin,{text}",  # MLT
        lambda text: f'{" ".join(map(str, TEXTS[text]))} "{text}"',  # 2013
        lambda text: f'{", ".join(map(str, TEXTS[text]))}, "{text}"',
        lambda text: f'{",".join(f"{value}.0" for value in flat(text))},"{text}"',  # CVAT
        lambda text: f'{" ".join(f"{value}.0" for value in TEXTS[text])} "{text}"',
    ],
)
@pytest.mark.parametrize(
    ("label", "image"),
    [
        ("gt_img_1.txt", "img_1.png"),
        ("img_1.txt", "img_1.png"),
        ("gt_img_1.txt", "images/img_1.png"),
        ("gt/img_1.txt", "img/img_1.png"),
    ],
)
def test_icdars_boxes(line: Any, label: str, image: str, tmp_path: Path) -> None:
    page(tmp_path / image)
    content = "\ufeff" + "".join(f"{line(text)}\r\n" for text in TEXTS) + f"{line('zwei').replace('zwei', '###')}\r\n"
    dataset = load_dataset(put(tmp_path, [], {label: content}))
    check(dataset)
    assert dataset.format.startswith("ICDAR")
    assert [code for code, _ in excluded(dataset)] == ["placeholder-label"]


def test_icdars_words_of_cvat_lie_in_images(tmp_path: Path) -> None:
    put(tmp_path, ["images/1.jpg"], {"gt.txt": '1.jpg, "eins"\n'})
    assert [sample.text for sample in load_dataset(tmp_path).samples] == ["eins"]


# CVAT


def cvat(*shapes: str) -> str:
    return (
        '<?xml version="1.0" encoding="utf-8"?>\n<annotations>\n  <version>1.1</version>\n  <meta><job/></meta>\n'
        f'  <image id="0" name="scans/page.png" width="{WIDTH}" height="{HEIGHT}">\n'
        f"{''.join(shapes)}  </image>\n</annotations>\n"
    )


def cvat_box(text: str, more: str = "") -> str:
    left, top, right, bottom = TEXTS.get(text, (0, 0, 9, 9))
    return (
        f'<box label="text" source="manual" occluded="0" xtl="{left}.00" ytl="{top}.00" xbr="{right}.00" ybr="{bottom}.00"'
        f' z_order="0"{more}><attribute name="text">{text}</attribute><attribute name="kind">print</attribute></box>\n'
    )


@pytest.mark.parametrize("image", ["images/scans/page.png", "images/page.png", "page.png"])
def test_cvat(image: str, tmp_path: Path) -> None:
    page(tmp_path / image)
    points = ";".join(f"{x}.00,{y}.00" for x, y in corners("zwei"))
    shape = f'<polygon label="text" points="{points}"><attribute name="text">zwei</attribute></polygon>\n'
    content = cvat(cvat_box("eins, one"), shape, cvat_box(""))
    dataset = load_dataset(put(tmp_path, [], {"annotations.xml": content}))
    check(dataset)
    assert dataset.format == "CVAT, attribute text"
    assert [code for code, _ in excluded(dataset)] == ["empty-label"]


def test_a_tag_of_cvat_is_the_text_of_the_image(tmp_path: Path) -> None:
    page(tmp_path / "images/page.png")
    tag = '<tag label="text"><attribute name="transcription">eins</attribute></tag>\n'
    [sample] = load_dataset(put(tmp_path, [], {"annotations.xml": cvat(tag)})).samples
    assert (sample.text, sample.region) == ("eins", None)


def test_a_turned_box_of_cvat_is_brought_upright(tmp_path: Path) -> None:
    page(tmp_path / "page.png")
    content = cvat(cvat_box("zwei", ' rotation="90.00"'))
    [sample] = load_dataset(put(tmp_path, [], {"annotations.xml": content})).samples
    # 50 x 30 about (85, 55), clockwise: what was to the right is below.
    assert np.abs(seen(sample).astype(int) - np.rot90(pixels()[30:80, 70:100])).max() <= 1


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('<!DOCTYPE a [<!ENTITY b "x"><!ENTITY c "&b;&b;">]><annotations>&c;</annotations>', "declares types or entities"),
        ('<!DOCTYPE a SYSTEM "file:///etc/passwd"><annotations/>', "declares types or entities"),
        ("<annotations>", "is not XML"),
        ("<annotation/>", "is XML of another kind"),
        ("<annotations><track/></annotations>", "export as CVAT for images"),
        (
            cvat('<box xtl="1" ytl="1" xbr="9" ybr="9"><attribute name="kind">x</attribute></box>'),
            "attributes kind, and no text",
        ),
    ],
)
def test_xml_that_is_not_cvats_is_an_error_that_says_so(content: str, message: str, tmp_path: Path) -> None:
    page(tmp_path / "page.png")
    with pytest.raises(DataError, match=message):
        load_dataset(put(tmp_path, [], {"annotations.xml": content}))


# COCO


def coco(**key: str) -> dict[str, Any]:
    attribute, place = key.get("attribute", "text"), key.get("place", "")
    boxes = []
    for number, text in enumerate(TEXTS):
        values = {attribute: text}
        box = {
            "id": number,
            "image_id": 3,
            "category_id": 1,
            "bbox": bounding_box(text),
            "area": 9,
            "segmentation": [],
            "iscrowd": 0,
        }
        boxes.append({**box, **({place: values} if place else values)})
    return {
        "info": {"description": ""},
        "categories": [{"id": 1, "name": "text"}],
        "images": [{"id": 3, "file_name": "page.png", "width": WIDTH, "height": HEIGHT}],
        "annotations": boxes,
    }


@pytest.mark.parametrize(
    ("label_file", "image"),
    [
        ("_annotations.coco.json", "page.png"),
        ("labels.json", "images/page.png"),
        ("annotations/instances_default.json", "images/page.png"),
        ("annotations/instances_default.json", "images/default/page.png"),
    ],
)
@pytest.mark.parametrize("place", ["", "attributes"])
def test_coco_with_a_text_for_each_box(label_file: str, image: str, place: str, tmp_path: Path) -> None:
    page(tmp_path / image)
    dataset = load_dataset(put(tmp_path, [], {label_file: json.dumps(coco(place=place))}))
    check(dataset)
    assert dataset.format == "COCO, texts from text"


def test_the_attribute_of_coco_may_be_named(tmp_path: Path) -> None:
    page(tmp_path / "page.png")
    put(tmp_path, [], {"x.json": json.dumps(coco(attribute="serial", place="attributes"))})
    with pytest.raises(DataError, match=r"and no text: .*`text_column`"):
        load_dataset(tmp_path / "x.json")
    check(load_dataset(tmp_path / "x.json", LabelConfig(text_column="serial")))
    with pytest.raises(ConfigError, match="no column is called so"):
        load_dataset(tmp_path / "x.json", LabelConfig(text_column="image"))


def test_coco_text_and_textocr(tmp_path: Path) -> None:
    page(tmp_path / "train_images/page.png")
    boxes = {
        str(n): {"id": str(n), "image_id": "i1", "utf8_string": text, "bbox": bounding_box(text), "points": flat(text)}
        for n, text in enumerate(TEXTS)
    }
    boxes["7"] = {"id": "7", "image_id": "i1", "utf8_string": ".", "bbox": [1, 1, 5, 5]}
    boxes["8"] = {"id": "8", "image_id": "i1", "utf8_string": "x", "legibility": "illegible", "bbox": [1, 1, 5, 5]}
    values = {"imgs": {"i1": {"id": "i1", "file_name": "train/page.png"}}, "anns": boxes, "imgToAnns": {"i1": list(boxes)}}
    dataset = load_dataset(
        put(tmp_path, [], {"TextOCR.json": json.dumps(values)}) / "TextOCR.json",
        LabelConfig(images=str(tmp_path / "train_images")),
    )
    check(dataset)
    assert [code for code, _ in excluded(dataset)] == ["placeholder-label"] * 2


# MMOCR


def test_mmocrs_recognition(tmp_path: Path) -> None:
    entries = [
        {"img_path": "imgs/a.png", "instances": [{"text": "eins"}]},
        {"img_path": "b.png", "instances": [{"text": "zwei"}]},
    ]
    values = {"metainfo": {"dataset_type": "TextRecogDataset", "task_name": "textrecog"}, "data_list": entries}
    dataset = load_dataset(put(tmp_path, ["imgs/a.png", "imgs/b.png"], {"textrecog_train.json": json.dumps(values)}))
    assert {sample.path.name: sample.text for sample in dataset.samples} == {"a.png": "eins", "b.png": "zwei"}
    assert dataset.format == "MMOCR, JSON"


def test_mmocrs_spotting(tmp_path: Path) -> None:
    page(tmp_path / "imgs/page.png")
    first, second = TEXTS
    instances = [
        {"polygon": flat(first), "bbox_label": 0, "ignore": False, "text": first},
        {"bbox": list(TEXTS[second]), "bbox_label": 0, "ignore": False, "text": second},
        {"bbox": [1, 1, 5, 5], "ignore": True, "text": "x"},
    ]
    values = {"metainfo": {}, "data_list": [{"img_path": "page.png", "height": HEIGHT, "width": WIDTH, "instances": instances}]}
    dataset = load_dataset(put(tmp_path, [], {"textspotting_train.json": json.dumps(values)}))
    check(dataset)
    assert [code for code, _ in excluded(dataset)] == ["placeholder-label"]


# Regions


def a_sample(tmp_path: Path, region: Region | None) -> Sample:
    assert region is not None
    return Sample(page(tmp_path / "page.png"), "x", region=region)


def test_what_is_outside_of_the_page_is_left_out(tmp_path: Path) -> None:
    np.testing.assert_array_equal(seen(a_sample(tmp_path, regions.box(100, -10, 200, 20))), pixels()[:20, 100:])
    with pytest.raises(ImageError, match=r"page\.png#xywh=300,300,10,10: the box is not in the image"):
        a_sample(tmp_path, regions.box(300, 300, 310, 310)).read()


def test_corners_may_begin_at_the_top_left_in_either_direction(tmp_path: Path) -> None:
    points = [(10.0, 5.0), (10.0, 25.0), (50.0, 25.0), (50.0, 5.0)]  # counterclockwise
    np.testing.assert_array_equal(seen(a_sample(tmp_path, regions.polygon(points))), pixels()[5:25, 10:50])


def test_a_polygon_of_many_corners_is_cut_out_by_the_box_around(tmp_path: Path) -> None:
    points = [(10.0, 10.0), (30.0, 5.0), (50.0, 10.0), (50.0, 20.0), (30.0, 25.0), (10.0, 20.0)]
    np.testing.assert_array_equal(seen(a_sample(tmp_path, regions.polygon(points))), pixels()[5:25, 10:50])


def test_a_slanted_line_is_read_along_its_slant(tmp_path: Path) -> None:
    region = regions.polygon([(20.0, 10.0), (80.0, 30.0), (74.0, 48.0), (14.0, 28.0)])
    found = seen(a_sample(tmp_path, region)).astype(float)
    height, width, _ = found.shape
    assert (width, height) == (63, 19)  # its sides
    y, x = np.mgrid[:height, :width] + 0.5
    expected_x = 20 + x / width * 60 - y / height * 6 - 0.5
    assert np.abs(found[:, :, 0] - expected_x).max() < 1.5


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16", "CMYK"])
def test_crops_of_any_kind_of_page_have_its_pixels(mode: str, tmp_path: Path) -> None:
    image = Image.fromarray(pixels())
    whole = Image.fromarray((np.mgrid[:HEIGHT, :WIDTH][1] * 500).astype(np.uint16)) if mode == "I;16" else image.convert(mode)
    whole.save(tmp_path / "page.tif")
    region = regions.box(10, 5, 50, 25)
    data = Sample(tmp_path / "page.tif", "x", region=region).read()
    expected = {"LA": "RGBA", "P": "RGB", "CMYK": "RGB", "1": "L", "I;16": "L"}.get(mode, mode)
    crop = Image.open(io.BytesIO(data))
    assert (crop.size, crop.mode) == ((40, 20), expected)
    if expected == mode:
        np.testing.assert_array_equal(np.asarray(crop), np.asarray(whole)[5:25, 10:50])


def test_pages_are_turned_as_a_person_sees_them(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # turned to the right
    Image.fromarray(np.rot90(pixels())).save(tmp_path / "page.png", exif=exif)
    sample = Sample(tmp_path / "page.png", "x", region=regions.box(10, 5, 50, 25))
    np.testing.assert_array_equal(seen(sample), pixels()[5:25, 10:50])


def test_a_page_is_decoded_once_for_its_boxes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page(tmp_path / "page.png")
    loaded: list[str] = []
    load = images.load_upright

    def counted(source: Any, name: str | None = None) -> Image.Image:
        loaded.append(name or "")
        return load(source, name)

    monkeypatch.setattr(images, "load_upright", counted)
    samples = [Sample(tmp_path / "page.png", str(i), region=regions.box(i, 0, i + 9, 9)) for i in range(50)]
    lines, issues = load_lines(samples, Preprocessor(32, 8))
    assert (len(lines), len(issues), len(loaded)) == (50, 0, 1)
    assert len(set(lines.content_ids.tolist())) == 50


def test_the_same_crop_of_another_page_has_the_same_content(tmp_path: Path) -> None:
    first = a_sample(tmp_path / "a", regions.box(10, 5, 50, 25))
    other = Image.new("RGB", (WIDTH, HEIGHT))
    other.paste(Image.fromarray(pixels()[5:25, 10:50]), (0, 0))
    other.save(tmp_path / "other.png")
    assert Sample(tmp_path / "other.png", "x", region=regions.box(0, 0, 40, 20)).read() == first.read()


def test_the_boxes_of_two_sources_are_shared_only_if_they_are_the_same(tmp_path: Path) -> None:
    page(tmp_path / "page.png")
    put(tmp_path, [], {"a.txt": ppocr(name="page.png"), "b.txt": ppocr(name="page.png").replace("[10, 5]", "[11, 5]")})
    first, second = load_datasets([tmp_path / "a.txt", tmp_path / "b.txt"])
    assert [len(first.samples), len(second.samples)] == [2, 1]


@pytest.mark.parametrize("region", [regions.box(1.5, 2, 30, 40), regions.box(0.1, 0.2, 0.5, 0.75, is_relative=True)])
def test_a_region_is_written_and_read_back(region: Region) -> None:
    assert regions.parse(region.to_text()) == region


@pytest.mark.parametrize(
    "text", ["", "x", "1,2", "1,2 3,4 5,6", "1,2 3,4 5,6 7", "1,1 1,1 1,1 1,1", "nan,1 2,1 2,2 1,2", None, 5]
)
def test_what_is_no_region_is_none(text: object) -> None:
    assert regions.parse(text) is None


def test_a_page_that_is_not_there_is_named_once_for_each_box(tmp_path: Path) -> None:
    put(tmp_path, ["b.png"], {"Label.txt": ppocr(name="gone.png") + ppocr(name="b.png")})
    assert [code for code, _ in excluded(load_dataset(tmp_path))] == [MISSING] * 2


def test_the_images_of_icdars_boxes_may_be_elsewhere(tmp_path: Path) -> None:
    page(tmp_path / "scans/img_1.png")
    put(tmp_path / "gt", [], {"gt_img_1.txt": "".join(f"{','.join(map(str, flat(text)))},{text}\n" for text in TEXTS)})
    check(load_dataset(tmp_path / "gt", LabelConfig(images=str(tmp_path / "scans"))))
    with pytest.raises(DataError, match=r"gt_img_1\.txt holds the boxes of one page: name the folder"):
        load_dataset(tmp_path / "gt/gt_img_1.txt")


def test_wildreceipt(tmp_path: Path) -> None:
    page(tmp_path / "image_files/page.png")
    boxes = [{"box": flat(text), "text": text, "label": 1} for text in TEXTS]
    line = json.dumps({"file_name": "image_files/page.png", "height": HEIGHT, "width": WIDTH, "annotations": boxes})
    check(load_dataset(put(tmp_path, [], {"train.txt": f"{line}\n"})))


def test_numbers_as_texts_of_coco_are_texts(tmp_path: Path) -> None:
    page(tmp_path / "page.png")
    values = coco(place="attributes")
    for number, box in enumerate(values["annotations"]):
        box["attributes"]["text"] = 1234 + number
    dataset = load_dataset(put(tmp_path, [], {"x.json": json.dumps(values)}))
    assert [sample.text for sample in dataset.samples] == ["1234", "1235"]


def test_every_shape_of_cvat_with_a_text_is_cut_out(tmp_path: Path) -> None:
    text = '<attribute name="text">eins</attribute>'
    shapes = (
        f'<ellipse cx="40" cy="30" rx="20" ry="10" label="t">{text}</ellipse>'
        f'<mask rle="1, 2" left="5" top="6" width="30" height="12" label="t">{text}</mask>'
        f'<points points="5,5" label="t">{text}</points>'
    )
    xml = f'<annotations><image id="0" name="a.png">{shapes}</image></annotations>'
    dataset = load_dataset(put(tmp_path, ["a.png"], {"annotations.xml": xml}))
    assert [str(sample.region) for sample in dataset.samples] == ["xywh=20,20,40,20", "xywh=5,6,30,12"]
    assert [code for code, _ in excluded(dataset)] == ["box-without-area"]


def test_a_caption_of_coco_is_the_text_of_the_whole_image(tmp_path: Path) -> None:
    values = {"images": [{"id": 3, "file_name": "a.png"}], "annotations": [{"id": 1, "image_id": 3, "caption": "eins"}]}
    [sample] = load_dataset(put(tmp_path, ["a.png"], {"captions.json": json.dumps(values)})).samples
    assert (sample.text, sample.region) == ("eins", None)


def test_the_corners_of_a_polygon_are_no_text(tmp_path: Path) -> None:
    lines = "5,5,30,5,30,20,20,22,5,20,3,12,eins, 2\n5,5,30,5,30,20,5,20,12,50\n"
    samples = load_dataset(put(tmp_path, ["a.png"], {"a.txt": lines})).samples
    assert [(sample.text, str(sample.region)) for sample in samples] == [
        ("eins, 2", "xywh=3,5,27,17"),
        ("12,50", "xywh=5,5,25,15"),
    ]


@pytest.mark.parametrize(
    "header", ["image,xmin,ymin,xmax,ymax,text", "image,Left,Top,Width,Height,text", "image,x_1,y_1,x_2,y_2,text"]
)
def test_boxes_in_columns_are_cut_out_of_pages_and_not_of_crops(header: str, tmp_path: Path) -> None:
    rows = "page.png,1,2,9,8,eins\npage.png,3,4,6,5,zwei\n"
    for name, size in (("page", (20, 20)), ("crop", (4, 4))):
        put(tmp_path / name, [], {"labels.csv": f"{header}\n{rows}"})
        Image.new("L", size).save(tmp_path / name / "page.png")
    is_size = "Width" in header
    pages = [str(sample.region) for sample in load_dataset(tmp_path / "page").samples]
    assert pages == (["xywh=1,2,9,8", "xywh=3,4,6,5"] if is_size else ["xywh=1,2,8,6", "xywh=3,4,3,1"])
    assert [sample.region for sample in load_dataset(tmp_path / "crop").samples] == [None, None]
    keys = header.split(",")
    lines = [dict(zip(keys, [row[0], *map(int, row[1:5]), row[5]], strict=True)) for row in csv.reader(rows.splitlines())]
    (tmp_path / "page/own.json").write_text(json.dumps(lines))
    (tmp_path / "page/own.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    for file in ("own.json", "own.jsonl"):
        assert [str(sample.region) for sample in load_dataset(tmp_path / "page" / file).samples] == pages
