"""The HTTP client of model providers: no proxy, no redirect, no cookie, nothing compressed, and no answer without end.

Knows no protocol above HTTP. Used by the providers.
"""

from collections.abc import AsyncIterator

import httpx2

from runs.adapters.asking import MOST_BYTES


def bounded_client() -> httpx2.AsyncClient:
    """One for a process and its loop; close it."""
    limits = httpx2.Limits(max_connections=256, max_keepalive_connections=32)
    headers = {"accept-encoding": "identity"}
    return httpx2.AsyncClient(transport=_Bounded(limits=limits, trust_env=False), trust_env=False, follow_redirects=False, headers=headers)


class _Bounded(httpx2.AsyncHTTPTransport):
    """Bytes are counted as they come, so what is compressed in spite of being asked not to be is not read at all."""

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        response = await super().handle_async_request(request)
        response.headers.pop("set-cookie", None)  # the client's jar serves every team
        if response.headers.get("content-encoding", "identity") != "identity":
            await response.aclose()
            raise httpx2.RemoteProtocolError("the answer is compressed, and that was not asked for")
        assert isinstance(response.stream, httpx2.AsyncByteStream)
        response.stream = _Counted(response.stream)
        return response


class _Counted(httpx2.AsyncByteStream):
    def __init__(self, stream: httpx2.AsyncByteStream) -> None:
        self._stream, self._left = stream, MOST_BYTES

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for chunk in self._stream:
            self._left -= len(chunk)
            if self._left < 0:
                raise httpx2.ReadError(f"the answer has more than {MOST_BYTES:,} bytes")
            yield chunk

    async def aclose(self) -> None:
        await self._stream.aclose()
