/** What the page tells its user. */
export const useMessage = () => useState("message", () => "");
