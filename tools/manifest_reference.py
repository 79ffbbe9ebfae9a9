#!/usr/bin/env python3
"""The reference of fields in docs/manifest.md, from the definition of ActorSystem.

    tools/manifest_reference.py            writes it between the markers
    tools/manifest_reference.py --check    fails when it is not current
"""

import os
import sys

import crd

DOCUMENT = os.path.join(crd.TOP, "docs/manifest.md")
BEGIN = "<!-- fields: written by tools/manifest_reference.py -->\n"
END = "<!-- fields: end -->\n"


def type_of(schema):
    if "enum" in schema:
        return " \\| ".join(f"`{value}`" for value in schema["enum"])
    if schema.get("x-kubernetes-int-or-string"):
        return "quantity"
    if str(schema.get("pattern", "")).endswith("(h|m|s|ms)){1,4}$"):
        return "duration"
    kind = schema.get("type", "any")
    if kind == "array":
        return f"list, at most {schema['maxItems']}"
    if kind == "object" and "additionalProperties" in schema:
        return f"map, at most {schema['maxProperties']}"
    if kind == "integer" and "minimum" in schema:
        return f"{schema['minimum']} to {schema['maximum']}" if "maximum" in schema else f"from {schema['minimum']}"
    return {"string": "text", "boolean": "true or false"}.get(kind, kind)


def default_of(schema, is_required):
    if is_required:
        return "must be given"
    value = schema.get("default")
    if value is None or isinstance(value, dict):
        return ""
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def same(left, right):
    return left is not None and left == right


def rows(path, schema, above=None):
    """A row a field, and below it those of what it holds. Fields that `above` has as well are left out: said once."""
    required = schema.get("required", [])
    for name, field in schema.get("properties", {}).items():
        if above and same(above.get("properties", {}).get(name), field):
            continue
        is_list = field.get("type") == "array"
        here = f"{path}.{name}" + ("[]" if is_list else "")
        meaning = " ".join(field.get("description", "").split()).replace("|", "\\|")
        yield f"| `{here}` | {type_of(field)} | {default_of(field, name in required)} | {meaning} |"
        held = field["items"] if is_list else field
        if "properties" in held:
            # A child is described as what it has beyond an entry.
            yield from rows(here, held, above=schema if name == "children" else None)


def reference():
    spec = crd.schema("actorsystems")["properties"]["spec"]
    lines = ["| field | values | default | meaning |", "|---|---|---|---|", *rows("spec", spec)]
    lines += ["", "A child also has the fields of an entry with the same names: behavior, restart, args, shutdown, isolation,", "mailbox and supervisor.", ""]
    lines += ["What is checked across fields:", ""]
    lines += [f"- {message}" for message in messages(spec)]
    return "\n".join(lines) + "\n"


def messages(schema):
    """Of all rules, each once."""
    found = []

    def walk(node, path):
        for rule in node.get("x-kubernetes-validations", []):
            if not rule["message"].startswith("must be"):
                found.append((path, rule["message"]))
        for name, field in node.get("properties", {}).items():
            walk(field, f"{path}.{name}")
        if isinstance(node.get("items"), dict):
            walk(node["items"], path + "[]")

    walk(schema, "spec")
    told = set()
    for path, message in found:
        if message not in told:
            told.add(message)
            yield f"`{path}`: {message}"


def main():
    with open(DOCUMENT) as file:
        text = file.read()
    begin = text.index(BEGIN) + len(BEGIN)
    wanted = text[:begin] + reference() + text[text.index(END):]
    if "--check" in sys.argv[1:]:
        if wanted != text:
            sys.exit("docs/manifest.md is not what the definition says: run tools/manifest_reference.py")
        return
    with open(DOCUMENT, "w") as file:
        file.write(wanted)


if __name__ == "__main__":
    main()
