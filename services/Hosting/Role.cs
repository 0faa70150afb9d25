using Microsoft.AspNetCore.Builder;

namespace Nephos.Hosting;

/// <summary>A part of Nephos that a process can run.</summary>
/// <param name="Name">As <c>--roles</c> and the Tiltfile spell it.</param>
/// <param name="Add">Registers the services of the role.</param>
/// <param name="Map">Maps its gRPC services and REST routes.</param>
/// <param name="InAll">Whether a process with all roles runs it.</param>
public sealed record Role(string Name, Action<WebApplicationBuilder> Add, Action<WebApplication> Map, bool InAll = true)
{
    /// <summary>The configuration sections of its options: processes that do not run it pass over them, since one configuration serves several.</summary>
    public IReadOnlyList<string> Sections { get; init; } = [];
}
