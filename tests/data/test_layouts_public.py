"""The layouts of public image sets, rebuilt in small from their descriptions, are read rightly or refused."""

import hashlib
import itertools
import logging
import re
from collections import Counter
from pathlib import Path

import pytest
from PIL import Image

from mstl import MstlError, load_data
from mstl.data.finding.sources import find_dataset

# Files, divided by semicolons: {a,b} stands for both, [3] for three numbers
READ = {
    "hymenoptera (PyTorch's tutorial)": (
        "hymenoptera_data/{train,val}/{ants,bees}/[3].jpg",
        {"train": "ants 3 bees 3", "val": "ants 3 bees 3"},
        [],
    ),
    "Intel image classification": (
        "seg_train/seg_train/{forest,sea}/[4].jpg; seg_test/seg_test/{forest,sea}/[2].jpg; seg_pred/seg_pred/[5].jpg",
        {"train": "forest 4 sea 4", "val (test)": "forest 2 sea 2"},
        ["seg_pred (5 images)"],
    ),
    "Chest X-ray pneumonia": (
        "chest_xray/{train,test,val}/{NORMAL,PNEUMONIA}/[2].jpeg; chest_xray/__MACOSX/x._a; "
        "chest_xray/chest_xray/{train,test,val}/{NORMAL,PNEUMONIA}/[2].jpeg",
        {"train": "NORMAL 2 PNEUMONIA 2", "val": "NORMAL 2 PNEUMONIA 2", "test": "NORMAL 2 PNEUMONIA 2"},
        ["chest_xray/chest_xray (12 images", "__MACOSX"],
    ),
    "Fruits-360": (
        "fruits-360/{Training,Test}/{Apple Braeburn,Pear}/[3]_100.jpg; fruits-360/test-multiple_fruits/[4].jpg; "
        "fruits-360/papers/a.pdf; fruits-360/{LICENSE,readme.md}",
        {"train": "Apple Braeburn 3 Pear 3", "val (test)": "Apple Braeburn 3 Pear 3"},
        ["test-multiple_fruits (4 images", "papers (1 file, no images)"],
    ),
    "Imagenette": (
        "imagenette2/{train,val}/{n01440764,n02102040}/[2].JPEG; imagenette2/noisy_imagenette.csv",
        {"train": "n01440764 2 n02102040 2", "val": "n01440764 2 n02102040 2"},
        ["noisy_imagenette.csv"],
    ),
    "Tiny ImageNet": (
        "tiny-imagenet-200/train/{n01443537,n01629819}/images/[3].JPEG; tiny-imagenet-200/val/images/[4].JPEG; "
        "tiny-imagenet-200/train/{n01443537,n01629819}/boxes.txt; tiny-imagenet-200/val/val_annotations.txt; "
        "tiny-imagenet-200/test/images/[5].JPEG; tiny-imagenet-200/{wnids,words}.txt",
        {"train": "n01443537 4 n01629819 4"},
        ["val (4 images, but no class folders)", "test (5 images, but no class folders)"],
    ),
    "Caltech-101": (
        "caltech-101/101_ObjectCategories/{BACKGROUND_Google,accordion,ant}/[3].jpg; "
        "caltech-101/Annotations/{accordion,ant}/[3].mat; caltech-101/show_annotation.m",
        {"train": "BACKGROUND_Google 3 accordion 3 ant 3"},
        ["Annotations (6 files, no images)"],
    ),
    "CUB-200-2011": (
        "CUB_200_2011/images/{001.Albatross,002.Auklet}/[3].jpg; CUB_200_2011/attributes/{certainties,labels}.txt; "
        "CUB_200_2011/parts/parts.txt; CUB_200_2011/segmentations/{001.Albatross,002.Auklet}/[3].png; "
        "CUB_200_2011/{classes,images,train_test_split}.txt; CUB_200_2011/README; attributes.txt",
        {"train": "001.Albatross 3 002.Auklet 3"},
        ["segmentations (6 images)", "attributes (2 files, no images)", "parts (1 file"],
    ),
    "Stanford Dogs": (
        "Images/{n02085620-Chihuahua,n02085782-Spaniel}/[3].jpg; lists/{file,train,test}_list.mat; "
        "Annotation/{n02085620-Chihuahua,n02085782-Spaniel}/[3]",
        {"train": "n02085620-Chihuahua 3 n02085782-Spaniel 3"},
        ["Annotation (6 files, no images)", "lists (3 files, no images)"],
    ),
    "102 flowers (Udacity)": (
        "flower_data/{train,valid,test}/{1,10,2}/[2].jpg; cat_to_name.json",
        {"train": "1 2 10 2 2 2", "val": "1 2 10 2 2 2", "test": "1 2 10 2 2 2"},
        ["cat_to_name.json"],
    ),
    "Food-101": (
        "food-101/images/{apple_pie,sushi}/[3].jpg; food-101/meta/{train,test}.json; food-101/license_agreement.txt",
        {"train": "apple_pie 3 sushi 3"},
        ["meta (2 files, no images)"],
    ),
    "Food-11": (
        "{training,validation,evaluation}/{Bread,Dessert}/[2].jpg",
        {"train": "Bread 2 Dessert 2", "val": "Bread 2 Dessert 2"},
        ["evaluation (4 images; validation/ is used)"],
    ),
    "Cats and dogs (SuperDataScience)": (
        "{training_set/training_set,test_set/test_set}/{cats,dogs}/{0.jpg,1.jpg,2.jpg,_DS_Store}",
        {"train": "cats 4 dogs 4", "val (test)": "cats 4 dogs 4"},
        [],
    ),
    "PetImages (Microsoft)": (
        "PetImages/{Cat,Dog}/[3].jpg; PetImages/{Cat,Dog}/Thumbs.db; {readme.txt,MSR-LA - 3467.docx}",
        {"train": "Cat 4 Dog 4"},
        [],
    ),
    "ASL alphabet": (
        "asl_alphabet_train/asl_alphabet_train/{A,B,space}/[3].jpg; asl_alphabet_test/asl_alphabet_test/{A,B}_test.jpg",
        {"train": "A 3 B 3 space 3"},
        ["asl_alphabet_test (2 images, but no class folders)"],
    ),
    "Flower photos (TensorFlow)": (
        "flower_photos/{daisy,tulips}/[3].jpg; flower_photos/LICENSE.txt",
        {"train": "daisy 3 tulips 3"},
        [],
    ),
    "PlantVillage (twice in its zip)": (
        "PlantVillage/{Potato___healthy,Tomato_healthy}/[3].JPG; "
        "PlantVillage/PlantVillage/{Potato___healthy,Tomato_healthy}/[3].JPG",
        {"train": "Potato___healthy 3 Tomato_healthy 3"},
        ["PlantVillage/PlantVillage (6 images: the class folders beside it once more)"],
    ),
    "Garbage classification": (
        "Garbage classification/Garbage classification/{glass,paper}/[3].jpg; one-indexed-files.txt; "
        "zero-indexed-files.txt",
        {"train": "glass 3 paper 3"},
        ["2 files beside the folders"],
    ),
    "Brain tumor MRI": (
        "{Training,Testing}/{glioma,no tumor}/[3].jpg",
        {"train": "glioma 3 no tumor 3", "val (test)": "glioma 3 no tumor 3"},
        [],
    ),
    "MNIST as JPEG": (
        "trainingSet/trainingSet/{0,1}/[4].jpg; trainingSample/trainingSample/{0,1}/[2].jpg; testSet/testSet/[3].jpg; "
        "testSample/testSample/[2].jpg",
        {"train": "0 4 1 4"},
        [
            "trainingSample (4 images; trainingSet/ is used)",
            "testSet (3 images, but no",
            "testSample (2 images, but no",
        ],
    ),
    "DTD": (
        "dtd/images/{banded,dotted}/[3].jpg; dtd/imdb/imdb.mat; dtd/labels/{train1,val1,test1}.txt",
        {"train": "banded 3 dotted 3"},
        ["imdb (1 file, no images)", "labels (3 files, no images)"],
    ),
    "Stanford Cars": (
        "car_data/car_data/{train,test}/{Audi S4,BMW M3}/[2].jpg; {anno_train,anno_test,names}.csv",
        {"train": "Audi S4 2 BMW M3 2", "val (test)": "Audi S4 2 BMW M3 2"},
        ["3 files beside the folders"],
    ),
    "GTSRB": (
        "GTSRB/Final_Training/Images/{00000,00001}/[3].ppm; GTSRB/Final_Test/Images/[4].ppm; GTSRB/Readme-Images.txt",
        {"train": "00000 3 00001 3"},
        ["Final_Test (4 images, but no class folders)"],
    ),
    "COVID-19 radiography": (
        "Radiography/{COVID,Normal}/images/[3].png; Radiography/{COVID,Normal}/masks/[3].png; "
        "Radiography/{COVID,Normal}.metadata.xlsx",
        {"train": "COVID 3 Normal 3"},
        ["COVID/masks (beside images/)"],
    ),
    "Blood cells": (
        "dataset2-master/dataset2-master/images/{TRAIN,TEST,TEST_SIMPLE}/{EOSINOPHIL,MONOCYTE}/[2].jpeg; "
        "dataset2-master/dataset2-master/labels.csv; dataset-master/dataset-master/JPEGImages/[3].jpg; "
        "dataset-master/dataset-master/Annotations/[3].xml",
        {"train": "EOSINOPHIL 2 MONOCYTE 2", "val (test)": "EOSINOPHIL 2 MONOCYTE 2"},
        ["dataset-master (3 images)", "TEST_SIMPLE (4 images; TEST/ is used)"],
    ),
    "iNaturalist": (
        "{train_mini,val}/{00000_Animalia,00001_Plantae}/[2].jpg",
        {"train": "00000_Animalia 2 00001_Plantae 2", "val": "00000_Animalia 2 00001_Plantae 2"},
        [],
    ),
    "10 monkey species": (
        "{training/training,validation/validation}/{n0,n1}/[2].jpg; monkey_labels.txt",
        {"train": "n0 2 n1 2", "val": "n0 2 n1 2"},
        ["monkey_labels.txt"],
    ),
    "SUN397": (
        "SUN397/a/{abbey,airfield}/[2].jpg; SUN397/b/{bakery,barn}/[2].jpg",
        {"train": "a 4 b 4"},
        ["the folders in them (abbey, airfield, bakery, barn) belong to their class"],
    ),
}
REFUSED = {
    "Oxford-IIIT Pets": (
        "images/{Abyssinian,beagle}_[3].jpg; annotations/trimaps/[3].png",
        "make a folder for each class",
    ),
    "102 flowers (Oxford)": (
        "102flowers/jpg/image_[4].jpg; 102flowers/{imagelabels,setid}.mat",
        "no class folders|1 class",
    ),
    "Dogs vs. cats (Kaggle)": (
        "train/{cat,dog}.[3].jpg; test1/[3].jpg; sampleSubmission.csv",
        "but no class folders there",
    ),
    "Stanford Cars, as published": (
        "cars_train/cars_train/[3].jpg; cars_test/cars_test/[3].jpg",
        "but no class folders",
    ),
    "PlantVillage (three versions)": (
        "plantvillage dataset/{color,grayscale,segmented}/{Apple___scab,Corn___healthy}/[2].JPG",
        "3 folders, color/, grayscale/ and segmented/, that all hold the same folders .Apple___scab, Corn___healthy.",
    ),
    "Office-31": (
        "{amazon,dslr,webcam}/images/{back_pack,bike}/[2].jpg",
        "amazon/, dslr/ and webcam/, that all hold the same folders .*call them train/, val/ and test/",
    ),
    "PACS": ("PACS/{art_painting,cartoon,photo,sketch}/{dog,horse}/[2].jpg", "all hold the same folders"),
    "MVTec AD": (
        "{bottle,cable}/train/good/[2].png; {bottle,cable}/test/{good,broken}/[2].png; "
        "{bottle,cable}/ground_truth/broken/[2].png",
        "2 datasets in it, bottle/ and cable/",
    ),
    "IDC breast histopathology": ("{10253,10254,10255}/{0,1}/[2].png", "3 folders, .* that all hold the same folders"),
    "HAM10000": ("HAM10000_images_part_{1,2}/[3].jpg", "pieces of one download"),
    "NIH chest X-rays": ("images_{001,002,003}/images/[3].png", "pieces of one download"),
}


def make(root, text):
    """Write files into a folder, with images where that may matter."""
    for pattern in text.split("; "):
        pieces = re.split(r"(\{[^}]*\}|\[\d\])", pattern)
        choices = [[piece] for piece in pieces]
        choices[1::2] = [p[1:-1].split(",") if p[0] == "{" else map(str, range(int(p[1:-1]))) for p in pieces[1::2]]
        for path in map("".join, itertools.product(*choices)):
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            if Path(path).suffix.lower() in (".jpg", ".png"):
                Image.new("RGB", (8, 8), tuple(hashlib.sha256(path.encode()).digest()[:3])).save(root / path)
            else:
                (root / path).write_bytes(path.encode())
    return root


def counts(split):
    return " ".join(f"{label} {count}" for label, count in sorted(Counter(x.label for x in split.samples).items()))


@pytest.mark.parametrize("name", READ)
def test_it_is_read(name, tmp_path, caplog):
    caplog.set_level(logging.INFO, "mstl")
    files, splits, said = READ[name]
    found = find_dataset(make(tmp_path / "data", files))
    names = {"val": "val (test)" if found.val_is_test else "val"}
    assert {names.get(split, split): counts(images) for split, images in found.splits.items()} == splits
    for words in said:
        assert words in caplog.text
    lines = [message for message in caplog.messages if "not used" in message]
    assert len(lines) <= 1 and "\n" not in "".join(caplog.messages)
    assert "not used" in "".join(lines) or not any("(" in words for words in said if "belong" not in words)


@pytest.mark.parametrize("name", REFUSED)
def test_it_is_refused_in_one_line(name, tmp_path):
    files, words = REFUSED[name]
    with pytest.raises(MstlError, match=words) as caught:
        load_data(make(tmp_path / "data", files))
    assert "\n" not in str(caught.value)
