/** Authenticates requests to Spring applications by Countersign access tokens. */
package dev.countersign.spring.security;
