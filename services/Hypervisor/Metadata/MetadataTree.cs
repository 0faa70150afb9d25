using System.Collections.Concurrent;
using System.Text;
using Nephos.Hypervisor.Instances;

namespace Nephos.Hypervisor.Metadata;

/// <summary>Answers metadata requests from the specs on this node; filled before the CPU of an instance runs.</summary>
internal sealed class MetadataTree : IInstanceMetadataSource
{
    private readonly ConcurrentDictionary<Guid, InstanceSpec> _byPort = new();
    private readonly ConcurrentDictionary<Guid, InstanceSpec> _byInstance = new();
    private readonly Lock _lock = new();

    /// <summary>Takes the newest spec of an instance; null forgets it.</summary>
    public void Set(Guid instanceId, InstanceSpec? spec)
    {
        lock (_lock)
        {
            if (_byInstance.TryRemove(instanceId, out var old))
            {
                foreach (var port in old.Ports)
                {
                    _byPort.TryRemove(port.Id, out _);
                }
            }
            if (spec is null || spec.Desired == DesiredState.Deleted)
            {
                return;
            }
            _byInstance[instanceId] = spec;
            foreach (var port in spec.Ports)
            {
                _byPort[port.Id] = spec;
            }
        }
    }

    public MetadataReply Get(Guid portId, string path)
    {
        if (!_byPort.TryGetValue(portId, out var spec))
        {
            return MetadataReply.NotFound;
        }
        var parts = path.Split('/', StringSplitOptions.RemoveEmptyEntries);
        return parts switch
        {
            [] => Listing([.. GuestDocuments.Ec2Versions]),
            ["openstack"] => Listing([.. GuestDocuments.OpenStackVersions]),
            ["openstack", "content", var name] => Content(spec, name),
            ["openstack", var version, .. var rest] when GuestDocuments.OpenStackVersions.Contains(version) => OpenStack(spec, rest),
            [var version, .. var rest] when GuestDocuments.Ec2Versions.Contains(version) => Ec2(spec, rest),
            _ => MetadataReply.NotFound,
        };
    }

    private static MetadataReply OpenStack(InstanceSpec spec, string[] rest)
    {
        var files = GuestDocuments.OpenStack(spec);
        return rest switch
        {
            [] => Listing([.. files.Keys]),
            [var name] when files.TryGetValue(name, out var body) => new(
                200, name.EndsWith(".json", StringComparison.Ordinal) ? "application/json" : "application/octet-stream", body),
            _ => MetadataReply.NotFound,
        };
    }

    private static MetadataReply Content(InstanceSpec spec, string name)
    {
        var contents = GuestDocuments.Contents(spec);
        for (var index = 0; index < contents.Count; index++)
        {
            if (GuestDocuments.ContentName(index) == name)
            {
                return new(200, "application/octet-stream", contents[index]);
            }
        }
        return MetadataReply.NotFound;
    }

    private static MetadataReply Ec2(InstanceSpec spec, string[] rest)
    {
        var leaves = GuestDocuments.Ec2(spec);
        var path = string.Join('/', rest);
        if (leaves.TryGetValue(path, out var body))
        {
            return new(200, path == "user-data" ? "application/octet-stream" : "text/plain", body);
        }
        if (path == "meta-data/public-keys")
        {
            return Listing([.. spec.Metadata.Keys.Select((key, index) => $"{index}={key.Name}")]);
        }
        var prefix = path.Length == 0 ? "" : path + "/";
        // Folders end with a slash, except at the top where EC2 writes none.
        var names = leaves.Keys.Where(leaf => leaf.StartsWith(prefix, StringComparison.Ordinal)).Select(leaf => leaf[prefix.Length..])
            .Select(leaf => leaf.IndexOf('/') is var slash and >= 0 ? leaf[..slash] + (prefix.Length == 0 ? "" : "/") : leaf).Distinct().ToArray();
        return names.Length == 0 ? MetadataReply.NotFound : Listing(names);
    }

    private static MetadataReply Listing(string[] names) => new(200, "text/plain", Encoding.UTF8.GetBytes(string.Join('\n', names)));
}
