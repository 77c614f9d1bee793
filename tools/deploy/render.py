#!/usr/bin/env python3
"""Prints the resources of a folder of deploy/kustomize as a JSON list, as kustomize would make them, and checks each against
the schemas of Kubernetes. It knows what our files use and refuses the rest; where kustomize itself is installed a test compares
the two.

usage: render.py FOLDER [VERSION..]      e.g. render.py deploy/kustomize/overlays/production 1.32 1.37
       render.py --yaml FILE             prints the documents of any YAML file as JSON
"""

import copy
import json
import pathlib
import sys

import yaml

KNOWN = {
    "apiVersion", "kind", "resources", "components", "patches", "images", "namespace", "configMapGenerator",
    "generatorOptions",
}
# By what the items of a list are told apart when a patch is merged into it. Other lists are replaced.
MERGE_KEYS = {
    "containers": "name", "env": "name", "volumes": "name", "volumeMounts": "mountPath", "ports": "containerPort",
    "topologySpreadConstraints": "topologyKey",
}
CLUSTER_WIDE = {"Namespace"}


def merge(base, patch, name=""):
    """A strategic merge patch: what is null goes, what is named like something else is merged into it."""
    if isinstance(base, dict) and isinstance(patch, dict):
        merged = dict(base)
        for key, value in patch.items():
            if value is None:
                merged.pop(key, None)
            else:
                merged[key] = merge(merged[key], value, key) if key in merged else copy.deepcopy(value)
        return merged
    key = MERGE_KEYS.get(name)
    if key and isinstance(base, list) and all(key in item for item in base + patch):
        old = {item[key]: item for item in base}
        first = [merge(old.pop(item[key], {}), item) for item in patch]
        return first + [item for item in base if item[key] in old]
    return copy.deepcopy(patch)


def selects(target, resource):
    labels = resource["metadata"].get("labels", {})
    wanted = [part.split("=", 1) for part in target.get("labelSelector", "").split(",") if part]
    return (
        target.get("kind", resource["kind"]) == resource["kind"]
        and target.get("name", resource["metadata"]["name"]) == resource["metadata"]["name"]
        and all(labels.get(name) == value for name, value in wanted)
    )


def patched(folder, kustomization, resources):
    for patch in kustomization.get("patches", []):
        (content,) = documents(folder / patch["path"])
        content = {key: value for key, value in content.items() if key not in ("apiVersion", "kind", "metadata")}
        hit = [resource for resource in resources if selects(patch["target"], resource)]
        if not hit:
            sys.exit(f"{folder}: the patch {patch['path']} is for nothing")
        resources = [merge(resource, content) if resource in hit else resource for resource in resources]
    return resources


def documents(path):
    return [document for document in yaml.safe_load_all(path.read_text()) if document]


def images_of(resource, images):
    for container in resource.get("spec", {}).get("template", {}).get("spec", {}).get("containers", []):
        name = container["image"].split(":")[0]
        for image in images:
            if image["name"] == name:
                container["image"] = f"{image.get('newName', name)}:{image['newTag']}"


def render(folder):
    (kustomization,) = documents(folder / "kustomization.yaml")
    unknown = set(kustomization) - KNOWN
    if unknown:
        sys.exit(f"{folder}: render.py does not know {sorted(unknown)}")
    resources = []
    for name in kustomization.get("resources", []):
        path = folder / name
        resources += render(path) if path.is_dir() else documents(path)
    for generator in kustomization.get("configMapGenerator", []):
        if not kustomization.get("generatorOptions", {}).get("disableNameSuffixHash"):
            sys.exit(f"{folder}: render.py makes no hashes for names")
        data = {name: (folder / name).read_text() for name in generator["files"]}
        resources.append(
            {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": generator["name"]}, "data": data}
        )
    for name in kustomization.get("components", []):
        (component,) = documents(folder / name / "kustomization.yaml")
        resources = patched(folder / name, component, resources)
    resources = patched(folder, kustomization, resources)
    for resource in resources:
        images_of(resource, kustomization.get("images", []))
        if "namespace" in kustomization and resource["kind"] not in CLUSTER_WIDE:
            resource["metadata"]["namespace"] = kustomization["namespace"]
    return resources


def main(arguments):
    if arguments[0] == "--yaml":
        print(json.dumps(documents(pathlib.Path(arguments[1]))))
        return
    import kubernetes_validate

    resources = render(pathlib.Path(arguments[0]))
    wrong = []
    for version in arguments[1:]:
        for resource in resources:
            name = f"{resource['kind']} {resource['metadata']['name']} (Kubernetes {version})"
            try:
                kubernetes_validate.validate(resource, version, strict=True)
            except kubernetes_validate.ValidationError as error:
                wrong.append(f"{name}: {'.'.join(map(str, error.path))}: {error.message}")
            except kubernetes_validate.SchemaNotFoundError as error:
                wrong.append(f"{name}: {error.message}")
    if wrong:
        sys.exit("\n".join(wrong))
    print(json.dumps(resources))


if __name__ == "__main__":
    main(sys.argv[1:])
