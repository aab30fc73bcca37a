"""The OpenAPI document as a page."""

from typing import Any

from fleetpulse.api.docs_page import docs_page


def page(**operation: Any) -> str:
    described = {
        "tags": ["devices"], "operationId": "getThing", "summary": "Show <a> thing",
        "responses": {"200": {"description": "Success"}, "400": {"$ref": "#/components/responses/400"}}, **operation,
    }  # fmt: skip
    return docs_page(
        {
            "info": {"version": "1"},
            "tags": [{"name": "devices", "description": "Devices & more"}],
            "paths": {"/things": {"get": described}},
            "components": {
                "schemas": {"Thing": {"required": ["id"], "properties": {"id": {"type": "string"}, "size": SIZE}}},
                "responses": {"400": {"description": "Malformed"}},
            },
        }
    )


SIZE = {"type": ["integer", "null"], "minimum": 1, "description": "how large"}


def test_text_is_text_and_no_markup() -> None:
    assert "Show &lt;a&gt; thing" in page()
    assert "Devices &amp; more" in page()


def test_a_shape_says_of_each_field_what_it_is_and_whether_it_may_be_absent() -> None:
    text = page()
    assert "<code>id</code><td>string" in text
    assert "<code>size</code> (may be absent)<td>integer or null 1 to …<td>how large" in text


def test_a_parameter_has_its_place_type_and_default() -> None:
    schema = {"type": "string", "enum": ["a", "b"], "default": "a"}
    text = page(parameters=[{"name": "sort", "in": "query", "schema": schema, "description": "the order"}])
    assert "<code>sort</code><td>query<td>a, b, by default &quot;a&quot;<td>the order" in text


def test_a_body_links_to_its_shape_and_shows_its_example() -> None:
    content = {"schema": {"$ref": "#/components/schemas/Thing"}, "example": {"id": "<x>"}}
    text = page(requestBody={"content": {"application/json": content}})
    assert "Body: <a href='#Thing'>Thing</a><pre>{\n &quot;id&quot;: &quot;&lt;x&gt;&quot;\n}</pre>" in text


def test_what_every_route_can_answer_is_said_once() -> None:
    first, _, route = page().partition("<h2 id='devices'>")
    assert ("<td>400<td>Malformed" in first, "Success" in route, "Malformed" in route) == (True, True, False)
