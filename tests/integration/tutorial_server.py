"""A FastAPI server of the tutorial's shape: whatever one client says, every client hears."""

from fastapi import FastAPI, WebSocket, WebSocketDisconnect

app = FastAPI()
connections: list[WebSocket] = []


@app.websocket("/ws")
async def broadcast(websocket: WebSocket) -> None:
    """Join, and pass on what comes until the client goes."""
    await websocket.accept()
    connections.append(websocket)
    try:
        while True:
            text = await websocket.receive_text()
            for connection in connections:
                await connection.send_text(f"Message: {text}")
    except WebSocketDisconnect:
        connections.remove(websocket)
