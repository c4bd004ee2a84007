/** Users who are not logged in see the login page, and all others the rest. */
export default defineNuxtRouteMiddleware((to) => {
  const { isLoggedIn } = useSession();
  if (isLoggedIn() === (to.path === "/login")) return navigateTo(isLoggedIn() ? "/" : "/login");
});
