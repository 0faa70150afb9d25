namespace Nephos.Kernel.Operations;

/// <summary>One kind of REST call that a restricted token may make.</summary>
/// <param name="Service">Service type as in the catalog, for example compute.</param>
/// <param name="Method">HTTP method, upper case.</param>
/// <param name="Path">
/// Path below the root of the service, as in <c>/v2.1/servers/*</c>. <c>*</c> and <c>{name}</c> stand for one segment, <c>**</c> for any number.
/// </param>
public sealed record AccessRule(string Service, string Method, string Path)
{
    /// <summary>Whether a request is of this kind.</summary>
    public bool Allows(string service, string method, string path) =>
        Service == service && Method.Equals(method, StringComparison.OrdinalIgnoreCase) &&
        Matches(Path.Trim('/').Split('/'), path.Trim('/').Split('/'));

    /// <remarks>Greedy with one place to go back to, so that the work is bounded by pattern times path.</remarks>
    private static bool Matches(string[] pattern, string[] path)
    {
        var (at, pathAt, star, starPath) = (0, 0, -1, 0);
        while (pathAt < path.Length)
        {
            if (at < pattern.Length && pattern[at] == "**")
            {
                (star, starPath) = (at++, pathAt);
            }
            else if (at < pattern.Length && IsSegment(pattern[at], path[pathAt]))
            {
                at++;
                pathAt++;
            }
            else if (star >= 0)
            {
                (at, pathAt) = (star + 1, ++starPath);
            }
            else
            {
                return false;
            }
        }
        return pattern.AsSpan(at).IndexOfAnyExcept("**") < 0;
    }

    private static bool IsSegment(string pattern, string segment) =>
        pattern == segment || (segment.Length > 0 && (pattern == "*" || (pattern.Length > 2 && pattern[0] == '{' && pattern[^1] == '}')));
}
