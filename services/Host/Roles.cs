using Nephos.BlockStorage;
using Nephos.Compute;
using Nephos.Host.Gateway;
using Nephos.Host.Storage;
using Nephos.Hosting;
using Nephos.Hypervisor;
using Nephos.Identity;
using Nephos.Images;
using Nephos.Networking;
using Nephos.Node.Block;
using Nephos.ObjectStorage;

namespace Nephos.Host;

/// <summary>The one list of roles; the command line and the Tiltfile read it.</summary>
internal static class Roles
{
    public static readonly Role[] All =
    [
        new("identity", b => b.AddIdentity(), a => a.MapIdentity()),
        new("image", b => b.AddImages(), a => a.MapImages()),
        new("network", b => b.AddNetworking(), a => a.MapNetworking()),
        new("compute", b => b.AddCompute(), a => a.MapCompute()),
        new("volume", b => b.AddBlockStorage(), a => a.MapBlockStorage()),
        new("storage", b => b.AddBlockDevices(), a => a.MapBlockDevices()),
        new("object", b => { b.AddObjectDevices(); b.AddObjectStorage(); }, a => { a.MapObjectStorage(); a.MapObjectDevices(); }),
        new("gateway", b => b.AddGateway(), a => a.MapGateway(), InAll: false),
        new("hypervisor", b => b.AddHypervisor(), a => a.MapHypervisor()),
    ];
}
