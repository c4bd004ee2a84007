/** Lets only requests with a good access token through to a web application (Jakarta Servlet). */
package dev.countersign.servlet;
