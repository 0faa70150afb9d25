using System.Text.Json.Nodes;
using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;
using Grpc.Core;
using Nephos.Hosting.Grpc;
using Nephos.Kernel;
using Nephos.Kernel.State;
using Wire = Nephos.Protos.Image.V1;

namespace Nephos.Images.Metadefs;

internal sealed class MetadefsGrpcService(IStateStore store, MetadefService metadefs) : Wire.Metadefs.MetadefsBase
{
    public override async Task<Wire.MetadefNamespace> CreateMetadefNamespace(Wire.CreateMetadefNamespaceRequest request, ServerCallContext context) =>
        ToWire(await metadefs.CreateAsync(context.GetOperation(), FromWire(request.Namespace), context.CancellationToken));

    public override async Task<Wire.MetadefNamespace> GetMetadefNamespace(Wire.GetMetadefNamespaceRequest request, ServerCallContext context) =>
        ToWire(await metadefs.GetAsync(context.GetOperation(), request.Name, context.CancellationToken));

    public override async Task<Wire.ListMetadefNamespacesResponse> ListMetadefNamespaces(
        Wire.ListMetadefNamespacesRequest request, ServerCallContext context)
    {
        var found = await metadefs.ListAsync(context.GetOperation(), context.CancellationToken);
        var page = Paging.Cut(found, space => space.Name, request.PageToken, request.PageSize);
        return new Wire.ListMetadefNamespacesResponse { Namespaces = { page.Items.Select(ToWire) }, NextPageToken = page.NextToken ?? "" };
    }

    public override async Task<Wire.MetadefNamespace> ReplaceMetadefNamespace(Wire.ReplaceMetadefNamespaceRequest request, ServerCallContext context)
    {
        var wanted = FromWire(request.Namespace);
        return ToWire(await metadefs.UpdateAsync(
            context.GetOperation(), request.Name,
            before => wanted with { Owner = wanted.Owner.Length > 0 ? wanted.Owner : before.Owner }, context.CancellationToken));
    }

    public override async Task<Wire.DeleteMetadefNamespaceResponse> DeleteMetadefNamespace(
        Wire.DeleteMetadefNamespaceRequest request, ServerCallContext context)
    {
        await metadefs.DeleteAsync(context.GetOperation(), request.Name, context.CancellationToken);
        return new Wire.DeleteMetadefNamespaceResponse();
    }

    public override Task WatchMetadefNamespaces(
        Wire.WatchMetadefNamespacesRequest request, IServerStreamWriter<Wire.MetadefNamespaceEvent> responseStream, ServerCallContext context) =>
        responseStream.SendListAsync(
            store,
            MetadefTables.Namespaces.Name,
            async () => (await metadefs.ListAsync(context.GetOperation(), context.CancellationToken)).Select(ToWire),
            space => space.Name,
            space => new Wire.MetadefNamespaceEvent { Changed = space },
            id => new Wire.MetadefNamespaceEvent { Deleted = id },
            () => new Wire.MetadefNamespaceEvent { Synchronized = true },
            context.CancellationToken);

    private static MetadefNamespace FromWire(Wire.MetadefNamespace? wire)
    {
        wire ??= new Wire.MetadefNamespace();
        return new MetadefNamespace
        {
            Name = wire.Name,
            DisplayName = Text(wire.DisplayName),
            Description = Text(wire.Description),
            IsPublic = wire.Public,
            Protected = wire.Protected,
            Owner = wire.Owner,
            CreatedAt = default,
            UpdatedAt = default,
            ResourceTypes = [.. wire.ResourceTypes.Select(type => new MetadefResourceType(type.Name, Text(type.Prefix), Text(type.PropertiesTarget), default, default))],
            Properties = [.. wire.Properties.Select(item => FromWire(item, MetadefKind.Property))],
            Objects = [.. wire.Objects.Select(item => FromWire(item, MetadefKind.Object))],
            Tags = [.. wire.Tags.Select(item => FromWire(item, MetadefKind.Tag))],
        };
    }

    private static MetadefItem FromWire(Wire.MetadefItem wire, MetadefKind kind)
    {
        var body = wire.Body is null ? [] : JsonNode.Parse(JsonFormatter.Default.Format(wire.Body))!.AsObject();
        body["name"] = wire.Name;
        return MetadefJson.ReadItem(body, kind);
    }

    private static Wire.MetadefNamespace ToWire(MetadefNamespace space) => new()
    {
        Name = space.Name,
        DisplayName = space.DisplayName ?? "",
        Description = space.Description ?? "",
        Public = space.IsPublic,
        Protected = space.Protected,
        Owner = space.Owner,
        CreatedAt = Timestamp.FromDateTimeOffset(space.CreatedAt),
        UpdatedAt = Timestamp.FromDateTimeOffset(space.UpdatedAt),
        ResourceTypes =
        {
            space.ResourceTypes.Select(type => new Wire.MetadefResourceType
            {
                Name = type.Name, Prefix = type.Prefix ?? "", PropertiesTarget = type.PropertiesTarget ?? "",
            }),
        },
        Properties = { space.Properties.Select(ToWire) },
        Objects = { space.Objects.Select(ToWire) },
        Tags = { space.Tags.Select(ToWire) },
    };

    private static Wire.MetadefItem ToWire(MetadefItem item) =>
        new() { Name = item.Name, Body = JsonParser.Default.Parse<Struct>(item.Body.ToJsonString()) };

    private static string? Text(string text) => text.Length == 0 ? null : text;
}
