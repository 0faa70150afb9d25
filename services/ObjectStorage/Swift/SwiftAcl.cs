using Nephos.Kernel.Operations;

namespace Nephos.ObjectStorage.Swift;

/// <summary>A container's read or write ACL: projects and users, roles, and for reading referrers.</summary>
internal static class SwiftAcl
{
    public const string ReadKey = "swift.read";
    public const string WriteKey = "swift.write";
    public const int MaxChars = 8192;
    private const int MaxEntries = 256;

    /// <summary>The canonical text of an ACL header.</summary>
    /// <exception cref="SwiftFault">400 when it is not an ACL.</exception>
    public static string Normalize(string header, bool write)
    {
        if (header.Length > MaxChars)
        {
            throw SwiftFault.BadRequest($"An ACL has at most {MaxChars} characters");
        }
        var entries = new List<string>();
        foreach (var raw in header.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries))
        {
            if (!raw.StartsWith('.'))
            {
                entries.Add(raw);
                continue;
            }
            var colon = raw.IndexOf(':', StringComparison.Ordinal);
            var designator = colon < 0 ? raw : raw[..colon];
            if (designator is ".rlistings" && colon < 0 && !write)
            {
                entries.Add(raw);
                continue;
            }
            if (designator is not (".r" or ".ref" or ".referer" or ".referrer") || colon < 0 || write)
            {
                throw SwiftFault.BadRequest($"{(write ? "Referrers not allowed in write ACL" : "Unknown designator")}: {raw}");
            }
            var host = raw[(colon + 1)..].Trim();
            var negated = host.StartsWith('-');
            host = (negated ? host[1..] : host).Trim();
            if (host.StartsWith("*.", StringComparison.Ordinal))
            {
                host = host[1..];
            }
            if (host.Length == 0 || host == ".")
            {
                throw SwiftFault.BadRequest($"No host/domain value after referrer designation in ACL: {raw}");
            }
            entries.Add($".r:{(negated ? "-" : "")}{host}");
        }
        return entries.Count <= MaxEntries ? string.Join(',', entries) : throw SwiftFault.BadRequest($"An ACL has at most {MaxEntries} entries");
    }

    /// <summary>Whether an entry names the caller: <c>project:user</c>, either of them <c>*</c>, or one of its roles.</summary>
    public static bool Grants(string acl, OperationContext? operation)
    {
        if (operation is null)
        {
            return false;
        }
        foreach (var entry in acl.Split(',', StringSplitOptions.RemoveEmptyEntries))
        {
            if (entry.StartsWith('.'))
            {
                continue;
            }
            var colon = entry.IndexOf(':', StringComparison.Ordinal);
            if (colon < 0)
            {
                if (entry == operation.ProjectId || operation.HasRole(entry.ToLowerInvariant()))
                {
                    return true;
                }
                continue;
            }
            var (project, user) = (entry[..colon], entry[(colon + 1)..]);
            if ((project == "*" || project == operation.ProjectId) && (user == "*" || user == operation.UserId))
            {
                return true;
            }
        }
        return false;
    }

    /// <summary>Whether anyone who comes from the referrer may read; the last entry that matches decides.</summary>
    public static bool GrantsReferrer(string acl, string? referrer)
    {
        var host = Uri.TryCreate(referrer, UriKind.Absolute, out var uri) ? uri.Host : "unknown";
        var allowed = false;
        foreach (var entry in acl.Split(',', StringSplitOptions.RemoveEmptyEntries).Where(entry => entry.StartsWith(".r:", StringComparison.Ordinal)))
        {
            var pattern = entry[3..];
            var negated = pattern.StartsWith('-');
            pattern = negated ? pattern[1..] : pattern;
            if (pattern == "*" || pattern == host || (pattern.StartsWith('.') && host.EndsWith(pattern, StringComparison.OrdinalIgnoreCase)))
            {
                allowed = !negated;
            }
        }
        return allowed;
    }

    public static bool GrantsListings(string acl) => acl.Split(',').Contains(".rlistings", StringComparer.Ordinal);
}
