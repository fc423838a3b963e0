"""tus 1.0 with its extensions, at `/files/` and `/files/<id>`: https://tus.io/protocols/resumable-upload."""
