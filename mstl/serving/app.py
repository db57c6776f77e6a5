"""The app: the routes of the API and of the page, and what surrounds them all."""

import contextlib
from collections.abc import AsyncIterator, Mapping
from typing import Annotated, Any

from fastapi import APIRouter, FastAPI, Query, Request
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import JSONResponse, PlainTextResponse, Response

import mstl
from mstl.serving import api_description as described
from mstl.serving.bearer import Bearer
from mstl.serving.counters import MEDIA_TYPE, Counters
from mstl.serving.guard import Guard
from mstl.serving.lingering import Lingering
from mstl.serving.outer import Outer
from mstl.serving.page_files import INDEX, PageFile, page_files
from mstl.serving.problems import Problem, answer_problems, busy
from mstl.serving.serve_settings import ServeSettings
from mstl.serving.served_model import ServedModel
from mstl.serving.service import Service

JSON, OCTETS, PNG = "application/json", "application/octet-stream", "image/png"
MOST_CLASSES = 100_000
Top = Annotated[int, Query(ge=1, le=MOST_CLASSES, description="Top classes to report per image.")]
Reject = Annotated[bool, Query(description='Answer "none of these" (label null) for an image unlike the training.')]


def create_app(model: ServedModel, settings: ServeSettings) -> FastAPI:
    """An app that answers for a model.

    Args:
        model: The model.
        settings: Who may use it, and limits.
    """
    service = Service(model, settings)

    @contextlib.asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        async with service.running():
            yield

    app = FastAPI(
        title="mstl serve",
        version=mstl.__version__,
        description="What a model says of images, as `mstl predict` does.",
        docs_url=None,  # FastAPI's pages load scripts from elsewhere
        redoc_url=None,
        redirect_slashes=False,
        lifespan=lifespan,
        generate_unique_id_function=lambda route: route.name,
    )
    app.include_router(model_routes(service))
    app.include_router(state_routes(service))
    app.include_router(page_routes(page_files("page")))
    surround(app, settings, service.counters)
    return app


def surround(app: FastAPI, settings: ServeSettings, counters: Counters) -> None:
    """Put around an app what is the same for all: who may use it, safe headers, and problems as answers.

    Args:
        app: Its routes are there.
        settings: Who may use it.
        counters: Count its requests.
    """
    answer_problems(app)
    if settings.token is not None:
        app.add_middleware(Bearer, token=settings.token)
    if settings.origins:
        headers, methods = ("Authorization", "Content-Type"), ("GET", "POST")
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.origins,
            allow_methods=methods,
            allow_headers=headers,
            expose_headers=("Retry-After",),
        )
    app.add_middleware(Guard, settings=settings)
    app.add_middleware(Lingering)
    app.add_middleware(Outer, counters=counters)  # the last one comes first


def model_routes(service: Service) -> APIRouter:
    """What the model is asked for."""
    router = APIRouter(default_response_class=JSONResponse)

    @router.post(
        "/predict",
        summary="Which of the model's classes each image shows",
        responses=described.answers(
            200, JSON, described.PREDICTIONS, {"predictions": [described.EXAMPLE_RECORD]}, *described.OF_BODIES
        ),
        openapi_extra=described.IMAGES_BODY,
    )
    async def predict(request: Request, top: Top = 3, reject: Reject = False) -> Response:
        """The body is one image, or a form (multipart/form-data) with several files."""
        return JSONResponse({"predictions": await service.predict(request, top, reject)})

    @router.post(
        "/explain",
        summary="Where in an image the model sees a class (Grad-CAM)",
        responses=described.answers(200, PNG, {"type": "string", "format": "binary"}, None, *described.OF_BODIES, 501),
        openapi_extra=described.IMAGE_BODY,
    )
    async def explain(
        request: Request,
        label: Annotated[str | None, Query(description="One of the classes; by default the most probable.")] = None,
    ) -> Response:
        """The body is one image; the answer has the size that the model sees."""
        return Response(await service.explain(request, label), media_type=PNG)

    @router.post(
        "/collect",
        status_code=201,
        summary="Keep an image with its right label for the next training",
        responses=described.answers(
            201,
            JSON,
            {"type": "object", "required": ["file"], "properties": {"file": {"type": "string"}}},
            {"file": "dog/3a7bd3e2360a3d29eea4.jpg"},
            *(404, *described.OF_BODIES, 507),
        ),
        openapi_extra=described.IMAGE_BODY,
    )
    async def collect(
        request: Request, label: Annotated[str, Query(description="Name of its class, which may be a new one.")]
    ) -> Response:
        """The body is one image."""
        return JSONResponse({"file": await service.collect(request, label)}, 201)

    return router


def state_routes(service: Service) -> APIRouter:
    """What tells of the model and the server."""
    router = APIRouter()

    @router.get(
        "/model",
        summary="What the model is",
        responses=described.answers(200, JSON, {"type": "object"}, described.EXAMPLE_MODEL),
    )
    async def model() -> Response:
        """Classes, accuracy with its 95 % interval, data, engine, and the limits of this server; null: unknown."""
        limits = {"bytes": service.settings.max_bytes, "files": service.settings.max_files}
        more: dict[str, Any] = {"collects": service.settings.collect is not None, "limits": limits}
        return JSONResponse({**service.model.card, **more})

    @router.get("/healthz", summary="Whether the server is alive", response_class=PlainTextResponse)
    async def healthz() -> Response:
        """Answered without the model."""
        return PlainTextResponse("ok\n")

    @router.get("/readyz", summary="Whether the model has been warmed up", response_class=PlainTextResponse)
    async def readyz() -> Response:
        """503 until then."""
        if not service.is_ready:
            raise busy("the model is not ready yet")
        return PlainTextResponse("ready\n")

    @router.get("/metrics", summary="Metrics for Prometheus", response_class=PlainTextResponse)
    async def metrics() -> Response:
        """Requests, images, batches, and the time that predictions take."""
        now = {
            "mstl_ready": ("1 once the model has been warmed up.", float(service.is_ready)),
            "mstl_images_waiting": ("Images that wait for their answers.", service.images_waiting),
            "mstl_explanations_waiting": ("Explanations that wait or are made.", service.explainer.waiting),
            "mstl_upload_bytes": ("Bytes that large bodies take.", service.settings.room - service.room.left),
        }
        return Response(service.counters.text(now), media_type=MEDIA_TYPE)

    return router


def page_routes(files: Mapping[str, PageFile]) -> APIRouter:
    """The page and its files, which are all in memory.

    Args:
        files: From :func:`mstl.serving.page_files.page_files`.
    """
    router = APIRouter(include_in_schema=False)

    @router.api_route("/", methods=["GET", "HEAD"])
    async def index() -> Response:
        return file_response(INDEX)

    @router.api_route("/assets/{name}", methods=["GET", "HEAD"])
    async def asset(name: str) -> Response:
        return file_response(name)

    def file_response(name: str) -> Response:
        if name not in files:
            raise Problem(404, "the page has no such file", "open the address of this server in a browser")
        content, media_type = files[name]
        return Response(content, media_type=media_type, headers={"Cache-Control": "no-cache"})

    return router
