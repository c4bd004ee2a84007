/** Whoever is not logged in sees the login page, and nobody else does. */
export default defineNuxtRouteMiddleware((to) => {
  const { isLoggedIn } = useSession();
  if (isLoggedIn() === (to.path === "/login")) return navigateTo(isLoggedIn() ? "/" : "/login");
});
