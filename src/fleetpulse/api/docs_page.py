"""The OpenAPI document as a page: no scripts, so that it can be read where there is no network."""

import json
from html import escape
from typing import Any

Json = dict[str, Any]
SCOPE_TEXTS = {
    "device": "With a scope, devices outside it are unknown (404).",
    "labels": "With a scope, it is about the devices of the scope only.",
    "none": "",
    "whole": "It concerns all devices, so a key with a scope is refused (403).",
}
"""What a route does with the scope of whoever asks."""
_POLICY = ("default-src 'none'", "style-src 'unsafe-inline'", "base-uri 'none'", "form-action 'none'")
HTML_HEADERS = {
    "content-type": "text/html; charset=utf-8",
    "content-security-policy": "; ".join([*_POLICY, "frame-ancestors 'none'"]),
    "x-frame-options": "DENY",
    "cross-origin-opener-policy": "same-origin",
}
"""Of a page: a browser runs no script of it, loads nothing for it, and shows it in no other page."""


def docs_page(document: Json) -> str:
    """An OpenAPI document as one HTML page."""
    contents: list[str] = []
    refusals = {f"#/components/responses/{name}": one for name, one in document["components"]["responses"].items()}
    answers = [operation["responses"] for methods in document["paths"].values() for operation in methods.values()]
    shared = [ref for ref in refusals if all({"$ref": ref} in one.values() for one in answers)]
    rows = _answers_text({ref.rpartition("/")[2]: refusals.pop(ref) for ref in shared})
    parts = [f"<p>Every route can also answer:<table>{rows}</table>"]
    for group in document["tags"]:
        contents.append(f"<li><a href='#{group['name']}'>{escape(group['description'])}</a>")
        parts.append(f"<h2 id='{group['name']}'>{escape(group['description'])}</h2>")
        for path, operations in document["paths"].items():
            parts += [
                _operation_text(path, method, what, refusals)
                for method, what in operations.items()
                if what["tags"] == [group["name"]]
            ]
    parts.append("<h2 id='schemas'>Shapes</h2>")
    for name, schema in document["components"]["schemas"].items():
        text = escape(schema.get("description", ""))
        rows = "".join(
            f"<tr><td><code>{escape(field)}</code>{'' if field in schema.get('required', ()) else ' (may be absent)'}"
            f"<td>{_type_text(what)}<td>{escape(what.get('description', ''))}"
            for field, what in schema.get("properties", {}).items()
        )
        parts.append(
            f"<section id='{name}'><h3>{name}</h3>{f'<p>{text}' if text else ''}<table>{rows}</table></section>"
        )
    contents.append("<li><a href='#schemas'>Shapes</a>")
    return _PAGE.format(version=escape(document["info"]["version"]), contents="".join(contents), parts="".join(parts))


def _answers_text(answers: Json) -> str:
    return "".join(
        f"<tr><td>{status}<td>{escape(answer['description'])}<td>"
        + " ".join(_media_text(*pair) for pair in answer.get("content", {}).items())
        for status, answer in answers.items()
        if "$ref" not in answer
    )


def _operation_text(path: str, method: str, operation: Json, refusals: Json) -> str:
    """A route, with those of the answers that it refers to that are among `refusals`."""
    body = "".join(_media_text(*pair) for pair in operation.get("requestBody", {}).get("content", {}).items())
    parameters = "".join(
        f"<tr><td><code>{escape(one['name'])}</code><td>{escape(one['in'])}<td>{_type_text(one['schema'])}"
        f"<td>{escape(one.get('description') or one['schema'].get('description', ''))}"
        for one in operation.get("parameters", [])
    )
    answers = {status: refusals.get(answer.get("$ref"), answer) for status, answer in operation["responses"].items()}
    return (
        f"<section id='{operation['operationId']}'><h3><code>{method.upper()} {escape(path)}</code></h3>"
        f"<p>{escape(operation['summary'])}. {escape(operation.get('description', ''))}{_access_text(operation)}"
        f"{f'<table>{parameters}</table>' if parameters else ''}{'<p>Body: ' + body if body else ''}"
        f"<details><summary>Answers</summary><table>{_answers_text(answers)}</table></details></section>"
    )


def _access_text(operation: Json) -> str:
    """Who may use a route, and what it does with a scope."""
    roles = operation.get("x-roles")
    who = "everybody, without a key" if roles is None else ", ".join(roles)
    return f"<p>Roles: {who}. {SCOPE_TEXTS[operation.get('x-scope', 'none')]}"


def _media_text(media_type: str, content: Json) -> str:
    schema = content["schema"]
    text = f" {escape(schema['description'])}" if "description" in schema else ""
    kind = _type_text(schema) if "$ref" in schema else f"<code>{escape(media_type)}</code>{text}"
    return kind + _example_text(content)


def _example_text(content: Json) -> str:
    if "example" not in content:
        return ""
    example = content["example"]
    text = example if isinstance(example, str) else json.dumps(example, indent=1, ensure_ascii=False)
    return f"<pre>{escape(text)}</pre>"


def _type_text(schema: Json) -> str:
    """What a value is, in a few words."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"<a href='#{name}'>{name}</a>"
    if "anyOf" in schema:
        return " or ".join(_type_text(one) for one in schema["anyOf"])
    kinds = schema.get("type", "anything")
    text = escape(" or ".join(kinds) if isinstance(kinds, list) else kinds)
    if "array" in kinds and isinstance(schema.get("items"), dict):
        text += f" of {_type_text(schema['items'])}"
    if "enum" in schema:
        text = escape(", ".join(map(str, schema["enum"])))
    if isinstance(schema.get("additionalProperties"), dict):
        text += f" of {_type_text(schema['additionalProperties'])}"
    if "minimum" in schema or "maximum" in schema:
        text += f" {schema.get('minimum', '…')} to {schema.get('maximum', '…')}"
    return text + (
        f", by default {escape(json.dumps(schema['default']))}"
        if schema.get("default") not in (None, "", [], {})
        else ""
    )


_PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>fleetpulse API</title><style>
body{{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#222;background:#fff}}
h2{{border-top:2px solid #888;padding-top:1rem;margin-top:3rem}} h3{{font-size:1.1rem;margin-top:2rem}}
td{{padding:.15rem 1rem .15rem 0;vertical-align:top}} table{{border-collapse:collapse}}
summary{{cursor:pointer;color:#555}}
code,pre{{background:#f2f2f2;padding:.1rem .3rem;overflow-wrap:anywhere}} pre{{font-size:.8rem;white-space:pre-wrap}}
</style><h1>fleetpulse {version}</h1><p>The same as data: <a href="/openapi.json">/openapi.json</a>.</p>
<ul>{contents}</ul>{parts}</html>"""
