#!/usr/bin/env python3
"""Holds what a service said to what its OpenAPI document says that it says. Prints each difference; exits 1 if there is one.

usage: check.py FILE      a JSON object: `document`, and `exchanges`, a list of `method`, `path` (as the document has it), `status`,
                          `media`, `request` and `answer` (bodies; null if there is none). One with `wrong` is to be found wrong: if
                          it is not, that is a difference.
"""

import json
import sys

from jsonschema import Draft202012Validator


def closed(schema):
    """The same schema, which lets nothing through that it does not name."""
    if isinstance(schema, list):
        return [closed(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    made = {key: closed(value) for key, value in schema.items()}
    if "properties" in made and isinstance(made["properties"], dict) and made.get("type") == "object":
        made.setdefault("additionalProperties", False)
    return made


def faults(document, exchange):
    operation = document["paths"][exchange["path"]][exchange["method"]]
    status, media = str(exchange["status"]), exchange["media"]
    answer = operation["responses"].get(status) or operation["responses"]["default"]
    if "$ref" in answer:
        answer = document["components"]["responses"][answer["$ref"].rsplit("/", 1)[1]]
    schemas = {"components": {"schemas": document["components"]["schemas"]}}
    problem = media == "application/problem+json"
    parts = [("answer", answer.get("content", {}), media, exchange["answer"])]
    if status.startswith("2"):
        said = operation.get("requestBody", {}).get("content", {})
        parts.append(("request", said, "application/json" if said else None, exchange["request"]))
    for what, content, media, body in parts:
        if media not in content:
            if content or body is not None:
                yield f"{what} of {media}, where the document has {sorted(content)}"
            continue
        schema = content[media]["schema"]
        # A kind of problem may say more.
        whole = {**schemas, **schema} if problem else {**closed(schemas), **closed(schema)}
        for error in Draft202012Validator(whole).iter_errors(body):
            yield f"{what} {error.json_path}: {error.message}"


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        given = json.load(file)
    found = []
    for exchange in given["exchanges"]:
        wrong = list(faults(given["document"], exchange))
        if exchange.get("wrong"):
            wrong = [] if wrong else [f"this is let through: {json.dumps(exchange)}"]
        found += [f"{exchange['method']} {exchange['path']} {exchange['status']}: {fault}" for fault in wrong]
    print("\n".join(found))
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
