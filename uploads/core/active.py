"""Which media types content is served as: none that a browser runs as a program or a page.

Downloads are attachments in a sandbox, so this is a second wall: for the browser, extension or
program between that honours neither.
"""

#: What a file is when nobody knows (RFC 2046, section 4.5.1).
UNKNOWN = "application/octet-stream"

#: Kinds whose parts, or whose program, have types of their own.
_CONTAINERS = ("multipart/", "message/")
_ACTIVE = frozenset(
    {
        "html", "xhtml", "xml", "xsl", "xslt", "xml-dtd", "xml-external-parsed-entity", "svg",
        "javascript", "ecmascript", "jscript", "livescript", "vbscript", "css", "wasm", "hta",
        "rdf", "shockwave-flash", "xpinstall", "cache-manifest", "mimearchive", "java-applet",
        "java-jnlp-file", "java-archive", "server-parsed-html", "component", "scriptlet",
    }
)  # fmt: skip


def served_type(declared: str) -> str:
    """The declared media type with its parameters, or UNKNOWN for none and for an active one."""
    kind = declared.partition(";")[0].strip().lower()
    return UNKNOWN if not kind or _is_active(kind) else declared


def _is_active(kind: str) -> bool:
    if kind.startswith(_CONTAINERS):
        return True
    subtype = kind.partition("/")[2].removeprefix("x-")
    # `image/svg+xml`: what comes after the plus says how it is read (RFC 6838, section 4.2.8).
    # Versions come as `javascript1.5`.
    names = (subtype, subtype.rpartition("+")[2], subtype.rstrip("0123456789."))
    return any(name in _ACTIVE for name in names)
