import { type CanActivate, type ExecutionContext, ForbiddenException, Injectable } from "@nestjs/common";
import type { Request } from "express";

const URL = process.env.CAPTCHA_URL ?? "https://challenges.cloudflare.com/turnstile/v0/siteverify";
const SECRET = process.env.CAPTCHA_SECRET ?? "the-secret-of-the-site";

/** Lets requests through whose captcha the provider finds right. */
@Injectable()
export class CaptchaGuard implements CanActivate {
  async canActivate(context: ExecutionContext): Promise<boolean> {
    const { captcha = "" } = context.switchToHttp().getRequest<Request>().body ?? {};
    const body = new URLSearchParams({ secret: SECRET, response: String(captcha) });
    const answer = await fetch(URL, { method: "POST", body, signal: AbortSignal.timeout(3000) });
    const { success } = (await answer.json()) as { success: boolean };
    if (!success) throw new ForbiddenException("solve the captcha");
    return true;
  }
}
