"""JWTs: those that python3-jwt makes are accepted, known attacks are refused; expiry and reload."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import signal
import time
from pathlib import Path

import jwt
import programs
import pytest
import rawws
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from test_auth import Answer, ask, bearer, handshake

SECRET = b"s" * 64
KEYS = {
    "secret": SECRET,
    "rsa": rsa.generate_private_key(65537, 2048),
    "p256": ec.generate_private_key(ec.SECP256R1()),
    "p384": ec.generate_private_key(ec.SECP384R1()),
    "p521": ec.generate_private_key(ec.SECP521R1()),
    "ed25519": ed25519.Ed25519PrivateKey.generate(),
}
ALGORITHMS = {
    "HS256": "secret", "HS384": "secret", "HS512": "secret",
    "RS256": "rsa", "RS384": "rsa", "RS512": "rsa", "PS256": "rsa", "PS384": "rsa", "PS512": "rsa",
    "ES256": "p256", "ES384": "p384", "ES512": "p521", "EdDSA": "ed25519",
}


def public_pem(name: str) -> bytes:
    key = KEYS[name]
    return key if isinstance(key, bytes) else key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def b64(data: bytes | str | dict) -> str:
    if isinstance(data, dict):
        data = json.dumps(data)
    if isinstance(data, str):
        data = data.encode()
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def claims(**more: object) -> dict:
    return {"sub": "alice", "exp": int(time.time()) + 600, "subscribe": ["=", "**"],
            "publish": ["=", "**"], **more}


def token(alg: str = "HS256", headers: dict | None = None, **more: object) -> str:
    return jwt.encode({name: value for name, value in claims(**more).items() if value is not None},
                      KEYS[ALGORITHMS[alg]], alg, headers=headers)


def signed(header: dict | str, payload: dict | str | None = None, secret: bytes = SECRET,
           digest=hashlib.sha256) -> str:
    """By HMAC, whatever the header says."""
    text = b64(header) + "." + b64(payload if payload is not None else claims())
    return text + "." + b64(hmac.new(secret, text.encode(), digest).digest())


def key_file(tmp_path: Path, name: str) -> str:
    path = tmp_path / f"{name}.key"
    path.write_bytes(public_pem(name))
    return str(path)


@pytest.fixture
def serve(start, tmp_path):
    def make(*names: str, options: tuple[str, ...] = ()) -> programs.Server:
        keys = [word for name in names for word in ("--jwt-key", key_file(tmp_path, name))]
        return start(programs.Server, *keys, *options)

    return make


def status(server: programs.Server, text: str) -> int:
    return handshake(server.port, **bearer(text)).status


def test_each_algorithm_of_another_library_is_accepted_by_its_key_and_by_no_other(serve):
    for name in KEYS:
        server = serve(name)
        for alg, wanted in ALGORITHMS.items():
            assert status(server, token(alg)) == (101 if wanted == name else 401), (name, alg)
        server.stop()


def certificate() -> bytes:
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "issuer")])
    now = __import__("datetime").datetime.now()
    return x509.CertificateBuilder(name, name, KEYS["rsa"].public_key(), 1, now,
                                   now + __import__("datetime").timedelta(1)).sign(
        KEYS["rsa"], hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def jwk(name: str, **more: str) -> dict:
    makers = {"rsa": jwt.algorithms.RSAAlgorithm, "ed25519": jwt.algorithms.OKPAlgorithm}
    if name == "secret":
        made = {"kty": "oct", "k": b64(SECRET)}
    elif name in makers:
        made = json.loads(makers[name].to_jwk(KEYS[name].public_key()))
    else:
        numbers = KEYS[name].public_key().public_numbers()
        size = (numbers.curve.key_size + 7) // 8
        made = {"kty": "EC", "crv": f"P-{numbers.curve.key_size}",
                "x": b64(numbers.x.to_bytes(size, "big")), "y": b64(numbers.y.to_bytes(size, "big"))}
    made.pop("key_ops", None)
    return made | more


def test_keys_are_certificates_jwks_and_sets_and_kid_chooses(start, tmp_path):
    (tmp_path / "cert").write_bytes(certificate())
    (tmp_path / "one").write_text(json.dumps(jwk("p256", kid="a")))
    others = [jwk("rsa", kid=str(i), use="enc") for i in range(3)] + [{"kty": "new"}]
    (tmp_path / "set").write_text(json.dumps({"keys": others + [
        jwk("p384", kid="b"), jwk("ed25519", kid="c"), jwk("secret", kid="d", alg="HS512")]}))
    server = start(programs.Server, *[word for name in ("cert", "one", "set")
                                      for word in ("--jwt-key", str(tmp_path / name))])
    for alg, kid in (("RS256", None), ("PS512", "any"), ("ES256", "a"), ("ES256", None),
                     ("ES384", "b"), ("EdDSA", "c"), ("HS512", "d")):
        assert status(server, token(alg, {"kid": kid} if kid else None)) == 101, (alg, kid)
    for alg, kid in (("ES256", "b"), ("ES384", "a"), ("HS256", "d"), ("HS512", "x")):
        assert status(server, token(alg, {"kid": kid})) == 401, (alg, kid)


def test_a_set_of_a_thousand_keys_is_read_and_each_token_costs_few_verifications(start, tmp_path):
    keys = [jwk("p256", kid=str(i)) for i in range(1000)]
    (tmp_path / "set").write_text(json.dumps({"keys": keys}))
    server = start(programs.Server, "--jwt-key", str(tmp_path / "set"))
    assert status(server, token("ES256", {"kid": "999"})) == 101
    wrong = jwt.encode(claims(), ec.generate_private_key(ec.SECP256R1()), "ES256")
    before = server.cpu_seconds()
    assert status(server, wrong) == 401
    assert server.cpu_seconds() - before < 0.2  # a thousand of them take longer than that


# ---- attacks ----

RSA_PEM = public_pem("rsa")


def test_known_attacks_on_libraries_are_refused(serve):
    """RFC 8725, 2; CVE-2015-9235, -2016-5431, -2016-10555, -2018-0114, -2022-21449, and others."""
    server = serve("rsa", "p256", "secret", "ed25519")
    good = token("RS256")
    head, body, signature = good.split(".")
    hs = token("HS256").split(".")
    cert_key = ec.generate_private_key(ec.SECP256R1())
    own = {"kty": "oct", "k": b64(b"x" * 32)}
    size = 64
    attacks = {
        "none": jwt.encode(claims(), None, "none"),
        "None": f"{b64({'alg': 'None'})}.{body}.",
        "NONE with the old signature": f"{b64({'alg': 'NONE'})}.{body}.{signature}",
        "nOnE": f"{b64({'alg': 'nOnE'})}.{body}.AA",
        "no signature": f"{head}.{body}.",
        "two parts": f"{head}.{body}",
        "four parts": good + ".x",
        "five parts, a JWE": "a.b.c.d.e",
        "an HMAC with the public key": signed({"alg": "HS256"}, secret=RSA_PEM),
        "the same, stripped": signed({"alg": "HS256"}, secret=RSA_PEM.strip()),
        "the same in DER": signed({"alg": "HS256"}, secret=KEYS["rsa"].public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)),
        "an empty secret": signed({"alg": "HS256"}, secret=b""),
        "a guess": signed({"alg": "HS256"}, secret=b"secret"),
        "a key of the token's own (jwk)": signed({"alg": "HS256", "jwk": own}, secret=b"x" * 32),
        "an EC key of its own": jwt.encode(claims(), cert_key, "ES256", headers={"jwk": {"kty": "EC"}}),
        "jku": signed({"alg": "HS256", "jku": "http://127.0.0.1:1/"}, secret=b"x" * 32),
        "x5u": signed({"alg": "HS256", "x5u": "http://127.0.0.1:1/"}, secret=b"x" * 32),
        "x5c": signed({"alg": "HS256", "x5c": ["AAAA"]}, secret=b"x" * 32),
        "kid as a path": signed({"alg": "HS256", "kid": "../../../../dev/null"}, secret=b""),
        "kid as SQL": signed({"alg": "HS256", "kid": "x' UNION SELECT 'x"}, secret=b"x"),
        "an EC signature of zeros": f"{b64({'alg': 'ES256'})}.{body}.{b64(bytes(size))}",
        "an empty EC signature": f"{b64({'alg': 'ES256'})}.{body}.{b64(b'')}",
        "an EC signature in DER": (lambda text: text + "." + b64(KEYS["p256"].sign(
            text.encode(), ec.ECDSA(hashes.SHA256()))))(f"{b64({'alg': 'ES256'})}.{body}"),
        "an Ed25519 signature of zeros": f"{b64({'alg': 'EdDSA'})}.{body}.{b64(bytes(64))}",
        "other claims": f"{head}.{b64(claims(sub='root'))}.{signature}",
        "another algorithm of the key": f"{b64({'alg': 'RS512'})}.{body}.{signature}",
        "another algorithm of the secret": f"{b64({'alg': 'HS512'})}.{hs[1]}.{hs[2]}",
        "a cut signature": good[:-8],
        "a longer signature": good + "AAAA",
        "crit": signed({"alg": "HS256", "crit": ["exp"]}),
        "crit, empty": signed({"alg": "HS256", "crit": []}),
        "crit and b64": signed({"alg": "HS256", "b64": False, "crit": ["b64"]}),
        "b64": signed({"alg": "HS256", "b64": False}),
        "alg twice": signed('{"alg":"none","alg":"HS256"}'),
        "no alg": signed({"typ": "JWT"}),
        "alg is a number": signed({"alg": 256}),
        "alg is a list": signed({"alg": ["HS256"]}),
        "alg in lower case": signed({"alg": "hs256"}),
        "alg with a NUL": signed('{"alg":"HS256\\u0000"}'),
        "alg too long": signed({"alg": "HS256" * 1000}),
        "kid is a number": signed({"alg": "HS256", "kid": 1}),
        "kid is null": signed({"alg": "HS256", "kid": None}),
        "header is a list": signed("[]"),
        "header is not JSON": signed("alg"),
        "header is empty": "." + hs[1] + "." + hs[2],
        "padding": ".".join(part + "=" for part in hs),
        "padded signature": ".".join(hs) + "=",
        "base64 of another alphabet": ".".join(hs).replace("_", "/").replace("-", "+") + "+/",
        "a space inside": hs[0] + ". " + hs[1] + "." + hs[2],
        "bits left over": hs[0] + "." + hs[1] + "." + hs[2][:-1] + "_",
        "claims are a list": signed({"alg": "HS256"}, "[]"),
        "claims are no JSON": signed({"alg": "HS256"}, "x"),
        "claims twice": signed({"alg": "HS256"}, '{"exp":1,"exp":99999999999}'),
        "a NUL in sub": signed({"alg": "HS256"}, json.dumps(claims(sub="a\x00b"))),
        "sub is a number": signed({"alg": "HS256"}, claims(sub=1)),
        "sub with a newline": signed({"alg": "HS256"}, claims(sub="a\nb")),
        "sub too long": signed({"alg": "HS256"}, claims(sub="a" * 256)),
        "subscribe is a string": signed({"alg": "HS256"}, claims(subscribe="**")),
        "subscribe has a number": signed({"alg": "HS256"}, claims(subscribe=[1])),
        "a pattern that is none": signed({"alg": "HS256"}, claims(subscribe=["a//b"])),
        "mercure is a list": signed({"alg": "HS256"}, claims(mercure=["*"])),
        "a template of Mercure's": signed({"alg": "HS256"},
                                          claims(mercure={"subscribe": ["a/{id}"]})),
        "too many patterns": signed({"alg": "HS256"}, claims(subscribe=["a"] * 65)),
        "nested": signed({"alg": "HS256"}, '{"exp":99999999999,"a":' + "[" * 5000 + "]" * 5000 + "}"),
    }
    for what, attack in attacks.items():
        assert status(server, attack) == 401, what
    for alg in ("RS256", "PS256", "ES256", "HS256", "EdDSA"):
        assert status(server, token(alg)) == 101


def test_key_files_that_are_no_good_are_refused(start, tmp_path):
    import subprocess
    small = rsa.generate_private_key(65537, 1024)
    private = KEYS["rsa"].private_bytes(serialization.Encoding.PEM,
                                        serialization.PrivateFormat.PKCS8,
                                        serialization.NoEncryption())
    bad = {
        "empty": b"", "short secret": b"x" * 31, "private key": private,
        "small RSA": small.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo),
        "broken PEM": b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n",
        "broken JSON": b"{", "no keys": b'{"keys": []}', "keys is none": b'{"keys": 1}',
        "no kty": b"{}", "a curve that does not fit": json.dumps(jwk("p256", crv="P-384")).encode(),
        "a point that is not on its curve": json.dumps(jwk("p256", x=b64(bytes(32)))).encode(),
        "too many": json.dumps({"keys": [jwk("secret")] * 1025}).encode(),
    }
    path = tmp_path / "key"
    for what, data in bad.items():
        path.write_bytes(data)
        failed = subprocess.run([programs.WSBROADCASTD, "-l", "0", "--jwt-key", str(path)],
                                capture_output=True, text=True, check=False, timeout=rawws.TIMEOUT)
        assert failed.returncode == 2 and str(path) in failed.stderr, what


# ---- claims ----

def test_times_are_checked(serve):
    server, now = serve("secret"), time.time()
    for more, good in (
        ({"exp": now - 1}, False), ({"exp": now + 60.5}, True), ({"exp": None}, False),
        ({"exp": "9999999999"}, False), ({"exp": -1}, False), ({"exp": 2**53 + 2}, False),
        ({"exp": 1e300}, False), ({"exp": 2**53 - 1}, True), ({"exp": True}, False),
        ({"exp": [9999999999]}, False), ({"exp": 10**400}, False),
        ({"nbf": now + 60}, False), ({"nbf": now - 60}, True), ({"nbf": "x"}, False),
    ):
        made = {name: value for name, value in claims(**more).items() if value is not None}
        assert status(server, signed({"alg": "HS256"}, made)) == (101 if good else 401), more
    many = claims(**{f"claim{i}": i for i in range(500)})
    assert status(server, signed({"alg": "HS256"}, many)) == 101


def test_a_token_of_a_megabyte_and_one_with_10000_claims_are_refused(serve):
    server = serve("secret", options=("--max-header-bytes", "1M"))
    with rawws.Client(server.port) as client:
        client.send(client.request(**bearer("a" * 1_000_000)))
        assert client.recv_head().status == 401
    for size in (1, 3):
        text = signed({"alg": "HS256"}, claims(**{f"c{i}": i for i in range(5000 * size)}))
        assert status(server, text) == 401


def test_leeway_issuer_audience_and_no_expiry_are_as_the_options_say(serve):
    now = time.time()
    server = serve("secret", options=("--jwt-leeway", "60", "--jwt-issuer", "us",
                                      "--jwt-audience", "feed", "--jwt-allow-no-expiry"))
    ours = {"iss": "us", "aud": "feed"}
    for more, good in (
        (ours, True), ({**ours, "exp": now - 30}, True), ({**ours, "exp": now - 90}, False),
        ({**ours, "exp": None}, True), ({**ours, "nbf": now + 30}, True),
        ({**ours, "nbf": now + 90}, False), ({}, False), ({"iss": "us"}, False),
        ({"aud": "feed"}, False), ({**ours, "iss": "they"}, False), ({**ours, "iss": ["us"]}, False),
        ({**ours, "aud": ["a", "feed"]}, True), ({**ours, "aud": ["a"]}, False),
        ({**ours, "aud": {"feed": 1}}, False),
    ):
        made = {name: value for name, value in claims(**more).items() if value is not None}
        assert status(server, signed({"alg": "HS256"}, made)) == (101 if good else 401), more


def test_mercures_claims_are_understood(serve):
    server = serve("secret")
    mercure = token(subscribe=None, publish=None,
                    mercure={"subscribe": ["news/a"], "publish": ["*"]})
    for way, target, good in (("websocket", "/ws/news/a", True), ("websocket", "/ws/news/b", False),
                              ("post", "/ws/news/a", True), ("post", "/ws/other/x", True)):
        assert (ask(server.port, way, target, **bearer(mercure))[0] in (101, 200)) == good


# ---- during the connection ----

def test_a_connection_ends_when_its_token_expires_and_others_do_not(serve):
    server = serve("secret", options=("--history-messages", "100", "-w", "2"))
    clients = [rawws.Client(server.port) for _ in range(6)]
    exp = int(time.time()) + 2
    for client in clients[:4]:
        client.upgrade(**bearer(token(exp=exp)))
    for client in clients[4:]:
        client.upgrade(**bearer(token()))
    stream = rawws.Client(server.port)
    stream.send(b"GET /ws HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n"
                b"Authorization: Bearer " + token(exp=exp).encode() + b"\r\n\r\n")
    assert stream.recv_head().status == 200
    for client in clients[:4]:
        assert client.recv_close() == (1008, "token expired")
    assert time.time() >= exp
    while stream.sock.recv(4096):
        pass
    # it comes back with a new token and its last ID, and misses nothing
    clients[4].send_text("meanwhile")
    last = clients[0].accepted.headers["last-event-id"]
    back = rawws.Client(server.port)
    back.upgrade(Last_Event_ID=last, **bearer(token()))
    for client in (*clients[4:], back):
        assert client.recv_message() == "Message: meanwhile"


def test_what_has_expired_publishes_no_more_even_before_it_is_closed(serve):
    server = serve("secret")
    exp = int(time.time()) + 1
    with rawws.Client(server.port) as client:
        client.upgrade(**bearer(token(exp=exp)))
        while time.time() < exp:
            time.sleep(0.01)
        client.send_text("late")
        assert client.recv_close()[0] == 1008
    assert Answer(server.port, "POST", "/ws", b"x", **bearer(token(exp=exp))).status == 401


def test_a_key_that_is_removed_ends_its_connections_and_a_new_one_nobodys(start, tmp_path):
    path = tmp_path / "set"
    path.write_text(json.dumps({"keys": [jwk("p256"), jwk("secret")]}))
    server = start(programs.Server, "--jwt-key", str(path))
    gone, stays = rawws.Client(server.port), rawws.Client(server.port)
    gone.upgrade(**bearer(token("ES256")))
    stays.upgrade(**bearer(token("HS256")))
    path.write_text(json.dumps({"keys": [jwk("ed25519"), jwk("secret")]}))
    server.process.send_signal(signal.SIGHUP)
    assert gone.recv_close() == (1008, "the token is not valid any more")
    stays.send_text("x")
    assert stays.recv_message() == "Message: x"
    assert status(server, token("ES256")) == 401
    assert status(server, token("EdDSA")) == 101
