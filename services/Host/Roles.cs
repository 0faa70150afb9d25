using Nephos.Hosting;

namespace Nephos.Host;

/// <summary>The one list of roles; the command line and the Tiltfile read it.</summary>
internal static class Roles
{
    public static readonly Role[] All =
    [
    ];
}
