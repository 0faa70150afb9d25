using Nephos.Hypervisor.Instances;

namespace Nephos.Hypervisor.Metadata;

/// <summary>The metadata as a disc: label config-2, the documents under openstack/ and ec2/.</summary>
internal static class ConfigDrive
{
    public const string Label = "config-2";

    public static byte[] Build(InstanceSpec spec, TimeProvider time)
    {
        var image = new IsoImage(Label, time.GetUtcNow());
        foreach (var (name, body) in GuestDocuments.OpenStack(spec))
        {
            // Guests read the newest version they know and fall back to latest; the oldest is there for those that know nothing newer.
            image.Add($"openstack/latest/{name}", body);
            image.Add($"openstack/2012-08-10/{name}", body);
            image.Add($"openstack/2018-08-27/{name}", body);
        }
        var contents = GuestDocuments.Contents(spec);
        for (var index = 0; index < contents.Count; index++)
        {
            image.Add($"openstack/content/{GuestDocuments.ContentName(index)}", contents[index]);
        }
        return image.Write();
    }
}
