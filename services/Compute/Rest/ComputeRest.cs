using Microsoft.AspNetCore.Builder;
using Nephos.Compute.Aggregates;
using Nephos.Compute.Flavors;
using Nephos.Compute.Groups;
using Nephos.Compute.Instances;
using Nephos.Compute.Keypairs;
using Nephos.Compute.Migrations;
using Nephos.Compute.Nodes;
using Nephos.Compute.Proxies;
using Nephos.Compute.Quotas;
using Nephos.Compute.Usage;
using Nephos.Hosting.Rest;

namespace Nephos.Compute.Rest;

/// <summary>All routes of the compute REST API.</summary>
internal static class ComputeRest
{
    public static void Map(WebApplication app)
    {
        var rest = app.MapRest(ComputeDialect.Instance);
        VersionEndpoints.Map(rest);
        foreach (var root in ComputeDialect.Roots)
        {
            FlavorEndpoints.Map(rest, root);
            KeypairEndpoints.Map(rest, root);
            QuotaEndpoints.Map(rest, root);
            MigrationEndpoints.Map(rest, root);
            LegacyNodeEndpoints.Map(rest, root);
            HostEndpoints.Map(rest, root);
            NodeEndpoints.Map(rest, root);
            UsageEndpoints.Map(rest, root);
            AuditLogEndpoints.Map(rest, root);
            AggregateEndpoints.Map(rest, root);
            ServerGroupEndpoints.Map(rest, root);
            ServerEndpoints.Map(rest, root);
            ServerActionEndpoints.Map(rest, root);
            ServerDeviceEndpoints.Map(rest, root);
            ServerMetadataEndpoints.Map(rest, root);
            ServerDiagnosticsEndpoints.Map(rest, root);
            SecurityGroupEndpoints.Map(rest, root);
            ImageProxyEndpoints.Map(rest, root);
            ImageMetadataEndpoints.Map(rest, root);
            FloatingIpEndpoints.Map(rest, root);
            NetworkEndpoints.Map(rest, root);
            VolumeEndpoints.Map(rest, root);
            ExternalEventEndpoints.Map(rest, root);
            GoneEndpoints.Map(rest, root);
            ExtensionEndpoints.Map(rest, root);
        }
    }
}
