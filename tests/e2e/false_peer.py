#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""false_peer.py CERT KEY PORT silent|garbled - answers at a daemon's port with its certificate, and
says nothing, or what no daemon would. Prints `connection` for each that it got."""
import socket
import ssl
import struct
import sys
import threading


def serve(context, raw, how):
    try:
        with context.wrap_socket(raw, server_side=True) as link:
            print("connection", flush=True)
            link.recv(4096)
            if how == "garbled":
                answer = b'{"resilver": 1, "answer": {"of": ["another", "kind"]}}'
                link.sendall(struct.pack(">I", len(answer)) + answer)
            while link.recv(4096):
                pass
    except OSError:
        pass  # the other side has had enough


def main():
    cert, key, port, how = sys.argv[1:]
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.load_cert_chain(cert, key)
    context.set_alpn_protocols(["resilver-peer/1"])
    # Asks for a certificate and takes any: the peer's own would have to be known otherwise.
    context.verify_mode = ssl.CERT_NONE
    listener = socket.create_server(("127.0.0.1", int(port)))
    while True:
        raw, _ = listener.accept()
        threading.Thread(target=serve, args=(context, raw, how), daemon=True).start()


if __name__ == "__main__":
    main()
