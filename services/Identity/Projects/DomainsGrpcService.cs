using Google.Protobuf.WellKnownTypes;
using Grpc.Core;
using Nephos.Hosting.Grpc;
using Nephos.Identity.Shared;
using Nephos.Identity.Wiring;
using Nephos.Kernel;
using Wire = Nephos.Protos.Identity.V1;

namespace Nephos.Identity.Projects;

internal sealed class DomainsGrpcService(ProjectService projects, DirectoryView directory) : Wire.Domains.DomainsBase
{
    public override async Task<Wire.Domain> CreateDomain(Wire.CreateDomainRequest request, ServerCallContext context) =>
        (await projects.CreateAsync(
            context.GetOperation(), (request.Domain ?? new Wire.Domain()).ToDraft(), request.IdempotencyKey, context.CancellationToken)).ToWireDomain();

    public override async Task<Wire.Domain> GetDomain(Wire.GetDomainRequest request, ServerCallContext context) =>
        (await projects.GetDomainAsync(context.GetOperation(), request.DomainId, context.CancellationToken)).ToWireDomain();

    public override async Task<Wire.ListDomainsResponse> ListDomains(Wire.ListDomainsRequest request, ServerCallContext context)
    {
        var found = (await projects.ListAsync(context.GetOperation(), domains: true, context.CancellationToken))
            .Where(domain => (request.Name.Length == 0 || domain.Name == request.Name) && (!request.HasEnabled || domain.Enabled == request.Enabled));
        var page = Paging.Cut(found, domain => domain.Id, request.PageToken, request.PageSize);
        return new Wire.ListDomainsResponse { Domains = { page.Items.Select(ProjectMapping.ToWireDomain) }, NextPageToken = page.NextToken ?? "" };
    }

    public override async Task<Wire.Domain> UpdateDomain(Wire.UpdateDomainRequest request, ServerCallContext context)
    {
        var domain = request.Domain ?? new Wire.Domain();
        var mask = request.UpdateMask.ToMask("name", "description", "enabled", "tags", "options", "extra");
        var patch = new ProjectPatch
        {
            Name = mask.Of("name", domain.Name),
            Description = mask.Of("description", domain.Description),
            Enabled = mask.Of("enabled", domain.Enabled),
            Tags = mask.Of<IReadOnlyList<string>>("tags", [.. domain.Tags]),
            Options = mask.Of("options", domain.Options.ToJson()),
            Extra = mask.Has("extra") ? domain.Extra.ToJson() : null,
        };
        return (await projects.UpdateAsync(context.GetOperation(), domain.Id, isDomain: true, patch, context.CancellationToken)).ToWireDomain();
    }

    public override async Task<Empty> DeleteDomain(Wire.DeleteDomainRequest request, ServerCallContext context)
    {
        await projects.DeleteAsync(context.GetOperation(), request.DomainId, isDomain: true, context.CancellationToken);
        return new Empty();
    }

    public override Task WatchDomains(
        Wire.WatchDomainsRequest request, IServerStreamWriter<Wire.DomainChange> responseStream, ServerCallContext context)
    {
        Policy.RequireReader(context.GetOperation(), "identity:list_domains");
        return directory.Caches.Projects.SendAsync(
            responseStream,
            domain => new Wire.DomainChange { Changed = domain.ToWireDomain() },
            id => new Wire.DomainChange { DeletedId = id },
            () => new Wire.DomainChange { Synchronized = true },
            domain => domain.IsDomain, context.CancellationToken);
    }
}
