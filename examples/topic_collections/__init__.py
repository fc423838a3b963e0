"""An app that takes large files in a form of its own: the example of docs/integrate.md."""
