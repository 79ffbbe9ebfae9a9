#!/usr/bin/env python3
"""An HTTPS server for tests: https_server.py CERTIFICATE KEY [CLIENT_AUTHORITY]

Prints its port, answers each request with the number of the connection, the host, the version of TLS and the names in the
client's certificate, and ends with its standard input. With CLIENT_AUTHORITY it takes only clients with a certificate of that
authority.
"""

import http.server
import ssl
import sys
import threading


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        names = [name for _, name in (self.connection.getpeercert() or {}).get("subjectAltName", ())]
        body = f"{self.server.connections} {self.headers['Host'].rpartition(':')[0]} {self.connection.version()} {' '.join(names)}".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, context):
        super().__init__(("127.0.0.1", 0), Handler)
        self.context = context
        self.connections = 0

    def finish_request(self, request, client_address):
        """The handshake belongs to the connection's thread."""
        try:
            with self.context.wrap_socket(request, server_side=True) as connection:
                self.connections += 1
                self.RequestHandlerClass(connection, client_address, self)
        except OSError:
            pass  # a client that does not trust us, or we it


def main():
    certificate, key, *client_authority = sys.argv[1:]
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    if client_authority:
        context.load_verify_locations(client_authority[0])
        context.verify_mode = ssl.CERT_REQUIRED
    server = Server(context)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(server.server_address[1], flush=True)
    sys.stdin.read()


main()
