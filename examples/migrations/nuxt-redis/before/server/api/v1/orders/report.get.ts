export default defineEventHandler(({ context: { user } }) =>
  user.role === "manager" ? success("the report") : failure(2001, "only managers see the report"),
);
