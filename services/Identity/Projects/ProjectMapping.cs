using Nephos.Identity.Wiring;
using Wire = Nephos.Protos.Identity.V1;

namespace Nephos.Identity.Projects;

/// <summary>Projects and domains between gRPC and the domain.</summary>
internal static class ProjectMapping
{
    public static Wire.Project ToWire(this Project project) => new()
    {
        Id = project.Id,
        Name = project.Name,
        DomainId = project.DomainId ?? "",
        ParentId = project.ParentId ?? "",
        Description = project.Description,
        Enabled = project.Enabled,
        IsDomain = project.IsDomain,
        Tags = { project.Tags },
        Options = project.Options.ToStruct(),
        Extra = project.Extra.ToStruct(),
    };

    public static Wire.Domain ToWireDomain(this Project domain) => new()
    {
        Id = domain.Id,
        Name = domain.Name,
        Description = domain.Description,
        Enabled = domain.Enabled,
        Tags = { domain.Tags },
        Options = domain.Options.ToStruct(),
        Extra = domain.Extra.ToStruct(),
    };

    public static ProjectDraft ToDraft(this Wire.Project project) => new()
    {
        Name = project.Name,
        DomainId = project.DomainId.NullIfEmpty(),
        ParentId = project.ParentId.NullIfEmpty(),
        Description = project.Description,
        Enabled = !project.HasEnabled || project.Enabled,
        IsDomain = project.IsDomain,
        Tags = [.. project.Tags],
        Options = project.Options.ToJson(),
        Extra = project.Extra.ToJson(),
    };

    public static ProjectDraft ToDraft(this Wire.Domain domain) => new()
    {
        Name = domain.Name,
        Description = domain.Description,
        Enabled = !domain.HasEnabled || domain.Enabled,
        IsDomain = true,
        Tags = [.. domain.Tags],
        Options = domain.Options.ToJson(),
        Extra = domain.Extra.ToJson(),
    };
}
