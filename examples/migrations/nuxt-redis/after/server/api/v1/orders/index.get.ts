export default defineEventHandler(({ context: { user } }) => success({ orders: [`first order of user ${user.id}`] }));
