"""`dc1 admin images`, `approve-image` and `remove-image`."""

from typing import Annotated, Any

import typer

from dc1.cli.commands import Commands
from dc1.cli.options import AdminToken, AsJson, Url, admin_target
from dc1.cli.output import emit, facts, listing, moment, notes, printable
from dc1.client import DEFAULT_URL, Client, path

app = Commands()


@app.command("images")
def admin_images(token: AdminToken = None, url: Url = DEFAULT_URL, as_json: AsJson = False) -> None:
    """List the approved images, with or without a digest."""
    with Client(admin_target(url, token)) as client:
        emit(client.get("/containers/registry"), as_json, _show_images)


@app.command("approve-image")
def admin_approve_image(
    image: Annotated[str, typer.Argument(metavar="IMAGE", help="Its name, best with tag and digest.")],
    image_type: Annotated[
        str | None,
        typer.Option("--type", help="What it is for, for example pytorch; custom when new.", show_default=False),
    ] = None,
    description: Annotated[str | None, typer.Option(help="A sentence on it.", show_default=False)] = None,
    token: AdminToken = None,
    url: Url = DEFAULT_URL,
    as_json: AsJson = False,
) -> None:
    """Let jobs name an image. One that was approved before is given another digest, and keeps what is not named."""
    body = {"image_ref": image, "image_type": image_type, "description": description}
    with Client(admin_target(url, token)) as client:
        answer = client.post("/admin/containers/approve-image", body)
    emit(answer, as_json, _show_approval)
    # With --json too: on stderr, where it is in no program's way.
    if not answer.body["pinned"]:
        notes.print(f"It is not pinned: {printable(answer.body['image_ref'])} is what its registry says today.")
        notes.print("Approve it once more as NAME:TAG@sha256:…; in production no job may name it before.")


@app.command("remove-image")
def admin_remove_image(
    image: Annotated[int, typer.Argument(metavar="ID", help="Its id, as `images` lists it.", min=1)],
    token: AdminToken = None,
    url: Url = DEFAULT_URL,
    as_json: AsJson = False,
) -> None:
    """Take an image back: no new job may name it."""
    with Client(admin_target(url, token)) as client:
        answer = client.delete(path("admin", "containers", image))
    emit(answer, as_json, lambda body: facts({"removed": body["image_ref"]}))


def _show_images(body: dict[str, Any]) -> None:
    images = body["details"]
    unpinned = sum(not image["pinned"] for image in images)
    listing(
        ["id", "image", "pinned", "type", "approved", "description"],
        (
            [
                image["id"],
                image["image_ref"],
                image["pinned"],
                image["image_type"],
                moment(image["approved_at"]),
                image["description"],
            ]
            for image in images
        ),
        title=f"{body['total']} images, {unpinned} without a digest",
        empty="No image is approved.",
    )


def _show_approval(body: dict[str, Any]) -> None:
    facts({"image": body["image_ref"], "id": body["id"], "type": body["image_type"], "pinned": body["pinned"]})
