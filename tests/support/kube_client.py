"""The plainest client of the Kubernetes API, for tests: one connection a request, JSON in and out."""

import http.client
import json
import ssl
import urllib.parse

MERGE_PATCH = "application/merge-patch+json"
APPLY = "application/apply-patch+yaml"


class ApiError(Exception):
    """What the API server refused; `reason` is that of its Status."""

    def __init__(self, code, body):
        try:
            status = json.loads(body)
        except ValueError:
            status = {"message": body[:500]}
        self.code = code
        self.reason = status.get("reason", "")
        self.message = status.get("message", "")
        super().__init__(f"{code} {self.reason}: {self.message}")


class KubeClient:
    """Threads: any number at once."""

    def __init__(self, url, ca_file, token, timeout=30):
        self.address = urllib.parse.urlsplit(url)
        self.tls = ssl.create_default_context(cafile=ca_file)
        self.token = token
        self.timeout = timeout

    def open(self, verb, path, body=None, content_type="application/json", timeout=None):
        """The connection and its response, not yet read; whoever calls closes the connection."""
        connection = http.client.HTTPSConnection(self.address.hostname, self.address.port, context=self.tls,
                                                 timeout=timeout or self.timeout)
        headers = {"Authorization": f"Bearer {self.token}", "Accept": "application/json", "User-Agent": "histrio-test"}
        if body is not None:
            headers["Content-Type"] = content_type
            body = json.dumps(body)
        try:
            connection.request(verb, path, body, headers)
            return connection, connection.getresponse()
        except BaseException:
            connection.close()
            raise

    def text(self, verb, path, body=None, **options):
        connection, response = self.open(verb, path, body, **options)
        try:
            answer = response.read().decode()
        finally:
            connection.close()
        if response.status >= 300:
            raise ApiError(response.status, answer)
        return answer

    def request(self, verb, path, body=None, **options):
        return json.loads(self.text(verb, path, body, **options))

    def get(self, path):
        return self.request("GET", path)

    def find(self, path):
        """As get(), and None when there is no such object."""
        try:
            return self.get(path)
        except ApiError as error:
            if error.code == 404:
                return None
            raise

    def items(self, path):
        return self.get(path)["items"]

    def create(self, path, body):
        return self.request("POST", path, body)

    def replace(self, path, body):
        return self.request("PUT", path, body)

    def merge(self, path, body):
        return self.request("PATCH", path, body, content_type=MERGE_PATCH)

    def apply(self, path, body, manager="histrio-test"):
        return self.request("PATCH", f"{path}?fieldManager={manager}&force=true", body, content_type=APPLY)

    def delete(self, path, body=None):
        return self.request("DELETE", path, body)

    def watch(self, path, seconds=30):
        """The events of a watch as they come; ends when the server ends it."""
        separator = "&" if "?" in path else "?"
        connection, response = self.open("GET", f"{path}{separator}watch=true", timeout=seconds)
        try:
            if response.status != 200:
                raise ApiError(response.status, response.read().decode())
            for line in response:
                yield json.loads(line)
        finally:
            connection.close()
