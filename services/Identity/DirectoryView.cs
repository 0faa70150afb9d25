using System.Collections.Immutable;
using Nephos.Identity.Catalog;
using Nephos.Identity.Groups;
using Nephos.Identity.Projects;
using Nephos.Identity.Roles;
using Nephos.Identity.Tokens;
using Nephos.Identity.Users;
using Nephos.Kernel.State;

namespace Nephos.Identity;

/// <summary>The tables that are kept in memory: small, or listed and watched often.</summary>
internal sealed record IdentityCaches(
    TableCache<Project> Projects,
    TableCache<User> Users,
    TableCache<Group> Groups,
    TableCache<Role> Roles,
    TableCache<Implication> Implications,
    TableCache<Region> Regions,
    TableCache<Service> Services,
    TableCache<Endpoint> Endpoints,
    TableCache<RevocationRecord> Revocations);

/// <summary>Reads of the directory. Lists come from memory, caught up with the store first; single objects from the store.</summary>
internal sealed class DirectoryView(IStateStore store, IdentityCaches caches)
{
    private RoleGraph? _graph;

    public IStateStore Store => store;

    public IdentityCaches Caches => caches;

    public IReadOnlyList<Service> Services => caches.Services.List();

    public IReadOnlyList<Endpoint> Endpoints => caches.Endpoints.List();

    /// <summary>Revocations by subject.</summary>
    public IImmutableDictionary<string, RevocationRecord> Revocations => caches.Revocations.ByKey();

    public RoleGraph Roles
    {
        get
        {
            var (roles, implications) = (caches.Roles.List(), caches.Implications.List());
            var graph = Volatile.Read(ref _graph);
            if (graph is null || !ReferenceEquals(graph.Source.Roles, roles) || !ReferenceEquals(graph.Source.Implications, implications))
            {
                graph = new RoleGraph(roles, implications);
                Volatile.Write(ref _graph, graph);
            }
            return graph;
        }
    }

    /// <summary>Makes what tokens are made of show everything acknowledged before the call.</summary>
    public async ValueTask CatchUpAsync(CancellationToken cancellationToken)
    {
        var revision = await store.GetRevisionAsync(cancellationToken);
        await caches.Revocations.WaitForRevisionAsync(revision, cancellationToken);
        await caches.Roles.WaitForRevisionAsync(revision, cancellationToken);
        await caches.Implications.WaitForRevisionAsync(revision, cancellationToken);
        await caches.Services.WaitForRevisionAsync(revision, cancellationToken);
        await caches.Endpoints.WaitForRevisionAsync(revision, cancellationToken);
    }

    /// <summary>A whole table, with everything acknowledged before the call.</summary>
    public async ValueTask<IReadOnlyList<T>> ListAsync<T>(TableCache<T> cache, CancellationToken cancellationToken)
        where T : class
    {
        await cache.CatchUpAsync(cancellationToken);
        return cache.List();
    }

    /// <summary>A project or a domain; null when the id names none.</summary>
    public async ValueTask<Project?> FindProjectAsync(string? id, CancellationToken cancellationToken) =>
        Shared.Names.IsId(id) ? await store.GetAsync(IdentityTables.Projects, id!, cancellationToken) : null;

    public async ValueTask<Project?> FindDomainAsync(string? id, CancellationToken cancellationToken) =>
        await FindProjectAsync(id, cancellationToken) is { IsDomain: true } domain ? domain : null;

    public async ValueTask<User?> FindUserAsync(string? id, CancellationToken cancellationToken) =>
        Shared.Names.IsId(id) ? await store.GetAsync(IdentityTables.Users, id!, cancellationToken) : null;

    /// <summary>The project, then everything above it, the domain last. Empty when the chain is broken: its domain is gone.</summary>
    public async ValueTask<IReadOnlyList<Project>> LineageAsync(Project project, CancellationToken cancellationToken)
    {
        var lineage = new List<Project> { project };
        while (lineage[^1].ParentId is { } parentId)
        {
            if (await FindProjectAsync(parentId, cancellationToken) is not { } parent)
            {
                return [];
            }
            lineage.Add(parent);
        }
        return lineage;
    }
}
