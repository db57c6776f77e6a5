"""Descriptions of the API for OpenAPI: bodies, answers and examples, which FastAPI cannot find out by itself."""

from typing import Any

EXAMPLE_RECORD = {
    "path": "dog.jpg",
    "label": "dog",
    "probability": 0.981234,
    "top": [{"label": "dog", "probability": 0.981234}, {"label": "wolf", "probability": 0.018766}],
    "rejected": False,
}
EXAMPLE_PROBLEM = {
    "type": "about:blank",
    "title": "Unprocessable Entity",
    "status": 422,
    "detail": "cannot read notes.txt: not an image",
    "hint": "send the content of a JPEG, PNG or WebP file",
}
EXAMPLE_MODEL = {
    "name": "pets-resnet18",
    "format": "checkpoint",
    "architecture": "resnet18",
    "classes": ["dog", "wolf"],
    "image_size": 224,
    "accuracy": {"value": 0.975, "low": 0.914, "high": 0.993, "images": 80, "what": "validation images"},
    "data": "pets",
    "date": "2026-11-25",
    "mstl": "1.0.0",
    "engine": "onnxruntime",
    "precision": "fp32",
    "temperature": 1.12,
    "can_reject": True,
    "can_explain": True,
    "collects": False,
    "limits": {"bytes": 50_000_000, "files": 32},
}
PROBLEM = {
    "type": "object",
    "required": ["type", "title", "status", "detail", "hint"],
    "properties": {
        **{name: {"type": "string"} for name in ("type", "title")},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "What is wrong with what."},
        "hint": {"type": "string", "description": "What to do."},
    },
}
SHARE = {"type": "number", "minimum": 0, "maximum": 1}
RECORD = {
    "type": "object",
    "required": list(EXAMPLE_RECORD),
    "properties": {
        "path": {"type": ["string", "null"], "description": "The file's name in the form."},
        "label": {"type": ["string", "null"], "description": "null if the image is none of the classes."},
        "probability": {**SHARE, "description": "Calibrated."},
        "top": {
            "type": "array",
            "items": {"type": "object", "properties": {"label": {"type": "string"}, "probability": SHARE}},
        },
        "rejected": {"type": ["boolean", "null"], "description": "null unless reject is true."},
    },
}
UNREAD = {
    "type": "object",
    "required": ["path", "problem"],
    "properties": {"path": {"type": ["string", "null"]}, "problem": PROBLEM},
    "description": "An image that cannot be read, among others that can.",
}
PREDICTIONS = {
    "type": "object",
    "required": ["predictions"],
    "properties": {"predictions": {"type": "array", "items": {"oneOf": [RECORD, UNREAD]}}},
}
RAW = {"schema": {"type": "string", "format": "binary"}}
FILES = {"type": "array", "items": {"type": "string", "format": "binary"}}
FORM = {"schema": {"type": "object", "properties": {"file": FILES}}}
IMAGE_BODY = {"requestBody": {"required": True, "content": {"image/*": RAW, "application/octet-stream": RAW}}}
IMAGES_BODY = {
    "requestBody": {
        "required": True,
        "content": {"image/*": RAW, "application/octet-stream": RAW, "multipart/form-data": FORM},
    }
}
REASONS = {
    400: "The request, or its form, is malformed.",
    401: "The token is missing or wrong.",
    403: "A page of another server may not use this one.",
    404: "There is nothing at this address.",
    408: "The body came too slowly.",
    413: "The body is too large, or has too many files.",
    421: "The request's Host is not this server.",
    422: "No image can be read, or a value of the query cannot be used.",
    501: "The model cannot do that.",
    503: "Too many images are waiting; Retry-After says when to try again.",
    507: "The image cannot be written.",
}
ALWAYS = (400, 401, 403, 421)
OF_BODIES = (408, 413, 422, 503)


def answers(status: int, media_type: str, schema: dict[str, Any], example: Any, *problems: int) -> dict[int | str, Any]:
    """What a route may answer: with success, and which problems."""
    content: dict[str, Any] = {"schema": schema}
    if example is not None:
        content["example"] = example
    found: dict[int | str, Any] = {status: {"description": "Success.", "content": {media_type: content}}}
    for problem in (*ALWAYS, *problems):
        body: dict[str, Any] = {"schema": PROBLEM}
        if problem == EXAMPLE_PROBLEM["status"]:
            body["example"] = EXAMPLE_PROBLEM
        found[problem] = {"description": REASONS[problem], "content": {"application/problem+json": body}}
    return found
