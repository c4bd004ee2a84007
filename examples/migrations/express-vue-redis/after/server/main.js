import express from "express";
import { guard } from "./guard.js";

const app = express();
app.use(express.json());

app.get("/api/orders", guard, (request, response) => {
  const { userId, username } = request.user;
  response.json({ code: 200, message: "ok", data: { userId, username, orders: [`first order of user ${userId}`] } });
});

app.use(express.static(new URL("../dist", import.meta.url).pathname));

const server = app.listen(process.env.PORT ?? 3000, "127.0.0.1", () => {
  console.log(`listening on http://127.0.0.1:${server.address().port}`);
});
