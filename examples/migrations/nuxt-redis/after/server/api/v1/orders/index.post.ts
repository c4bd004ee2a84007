export default defineEventHandler(({ context: { user } }) => success({ order: `new order of user ${user.id}` }));
